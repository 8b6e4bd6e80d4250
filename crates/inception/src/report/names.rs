//! Values as the report shows them: as they are, or by names that are the same in every run.

use lesson::render::Names;
use ns_core::Value;

/// How values are shown within one experiment.
#[derive(Debug)]
pub(crate) struct Shown(Option<Names>);

impl Shown {
    /// `stable` puts names in the place of what differs from run to run, by order of appearance.
    pub(crate) fn new(stable: bool) -> Shown {
        Shown(stable.then(Names::default))
    }

    pub(crate) fn value(&mut self, value: &Value) -> String {
        match &mut self.0 {
            Some(names) => names.show(value),
            None => value.to_string(),
        }
    }
}
