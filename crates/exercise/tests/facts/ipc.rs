//! System V objects and POSIX queues.

use ns_core::Namespaces;
use ns_core::ipc::{MessageQueue, SysV};

use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, own, reads, says};

pub(crate) const CHECKS: &[Check] =
    &[("objects_are_those_of_its_ipc_namespace", objects_are_those_of_its_ipc_namespace)];

fn objects_are_those_of_its_ipc_namespace() -> Answer {
    let empty = child(own(Namespaces::IPC), |_| Ok(()))?;
    let full = child(own(Namespaces::IPC), |_| {
        for what in SysV::ALL {
            what.make(42)?;
        }
        SysV::Segment.make(-2)?;
        MessageQueue::make("/lab")?.send("hello")
    })?;
    reads!(empty.pid(),
        "shm any" => "0",
        "message queue any" => "0",
        "semaphores any" => "0",
        "posix queue /lab" => "absent",
    );
    reads!(full.pid(),
        "shm any" => "2",
        "shm 42" => "1",
        "shm 0x2a" => "1",
        "shm 0xfffffffe" => "1",
        "shm 7" => "0",
        "message queue 42" => "1",
        "semaphores 42" => "1",
        "posix queue /lab" => "1",
    );
    says!(full.pid(),
        "shm 42" => "its number of shared memory segments (key 42) is 1",
        "posix queue /lab" => "the number of messages in its queue /lab is 1",
    );
    says!(empty.pid(), "posix queue /lab" => "it has no queue /lab");
    Ok(Passed)
}
