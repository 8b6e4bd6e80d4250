//! What the steps require: a cgroup that has a controller and in which child cgroups can be created.

use lesson::Requirement;
use ns_core::cgroup::CgroupRequest::{AnyV2, Controller, ControllerV2};

pub(crate) const PIDS: Requirement = Requirement::CgroupParent(Controller("pids"));
pub(crate) const PIDS_V2: Requirement = Requirement::CgroupParent(ControllerV2("pids"));
pub(crate) const MEMORY: Requirement = Requirement::CgroupParent(Controller("memory"));
pub(crate) const MEMORY_V2: Requirement = Requirement::CgroupParent(ControllerV2("memory"));
pub(crate) const CPU: Requirement = Requirement::CgroupParent(Controller("cpu"));
pub(crate) const CPUSET: Requirement = Requirement::CgroupParent(Controller("cpuset"));
pub(crate) const CPUSET_V2: Requirement = Requirement::CgroupParent(ControllerV2("cpuset"));
pub(crate) const ANY_V2: Requirement = Requirement::CgroupParent(AnyV2);
