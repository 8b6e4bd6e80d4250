//! The names of a UTS namespace: uts_namespaces(7).

use ns_core::{Kind, uts};

use super::inside::inside;
use super::row::{Reads, Row};
use crate::seen::Seen;

pub(super) const ROWS: &[Row] = &[
    Row {
        form: "hostname",
        reads: Reads::Text,
        about: "the hostname that it reads",
        source: "uts_namespaces(7), gethostname(2)",
        says: ["its hostname is {}", "it has no hostname"],
        see: |subject, _| inside(subject, Kind::Uts, || Ok(Seen::Text(uts::hostname()))),
    },
    Row {
        form: "domain name",
        reads: Reads::Text,
        about: "the NIS domain name that it reads",
        source: "uts_namespaces(7), getdomainname(2)",
        says: ["its NIS domain name is {}", "it has no NIS domain name"],
        see: |subject, _| inside(subject, Kind::Uts, || Ok(Seen::Text(uts::domain_name()))),
    },
];
