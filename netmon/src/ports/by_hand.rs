//! What a person orders for a TAP, whatever the globs say.

use std::sync::Arc;

use super::{PortError, Ports};
use crate::endpoints::Input;

impl Ports {
    /// Protects a TAP by name, whatever the globs say. Done at once but for the egress side.
    ///
    /// # Errors
    ///
    /// There is no such TAP, or a hook or a table refuses.
    pub fn attach(&mut self, name: &Arc<str>) -> Result<(u32, Vec<Input>), PortError> {
        let tap = self.find(name)?.clone();
        self.released.remove(&tap.index);
        self.forced.insert(tap.index);
        if self.ports.contains_key(&tap.index) {
            return Ok((tap.index, Vec::new()));
        }
        match self.protect(&tap) {
            Ok(input) => Ok((tap.index, vec![input])),
            Err(error) => {
                self.forced.remove(&tap.index);
                Err(error)
            }
        }
    }

    /// Takes the programs off a TAP. It stays so until it is attached again, or made anew.
    ///
    /// # Errors
    ///
    /// There is no such TAP, or it is not attached.
    pub fn detach(&mut self, name: &Arc<str>) -> Result<Vec<Input>, PortError> {
        let index = self.find(name)?.index;
        if !self.ports.contains_key(&index) {
            return Err(PortError::NotAttached(Arc::clone(name)));
        }
        self.forced.remove(&index);
        self.released.insert(index);
        Ok(self.release(index))
    }
}
