//! The machine and the versions of a study.

use crate::machine::Machine;
use crate::versions::Versions;

/// Where, and with which versions, a study was made.
pub struct Setting {
    pub machine: Machine,
    pub versions: Versions,
}

impl Setting {
    /// An example for the tests of reports.
    #[cfg(test)]
    pub fn example() -> Self {
        let versions = Versions { slicegpt: "0.1.0".to_owned(), burn: "0.22.1".to_owned() };
        Self { machine: Machine::example(), versions }
    }
}
