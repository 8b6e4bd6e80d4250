//! What kind of cgroup is wanted.

/// What kind of cgroup is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CgroupRequest<'a> {
    /// A v2 cgroup, whatever its controllers.
    AnyV2,
    /// A v2 cgroup that has this controller, such as `pids`, in its `cgroup.controllers`.
    ControllerV2(&'a str),
    /// A cgroup with this controller: on v2 if the controller is there, else on v1.
    Controller(&'a str),
    /// A cgroup in the v1 hierarchy of this controller.
    V1(&'a str),
}
