//! What was seen in one arm.

use ns_core::Fact;

/// The facts that one arm reported, in their order.
#[derive(Debug, Clone, Default)]
pub struct Observation(Vec<Fact>);

impl Observation {
    pub(crate) fn into_facts(self) -> Vec<Fact> {
        self.0
    }
}

impl From<Fact> for Observation {
    fn from(fact: Fact) -> Observation {
        Observation(vec![fact])
    }
}

impl From<Vec<Fact>> for Observation {
    fn from(facts: Vec<Fact>) -> Observation {
        Observation(facts)
    }
}

impl<const N: usize> From<[Fact; N]> for Observation {
    fn from(facts: [Fact; N]) -> Observation {
        Observation(facts.into())
    }
}
