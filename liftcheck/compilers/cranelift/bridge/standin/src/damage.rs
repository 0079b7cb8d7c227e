//! Wrong answers, on request: faults planted where the allocator hands its answer to the compiler.

use crate::tap::Damage;
use crate::view::View;
use real::{Function, MachineEnv, Output};

/// What was done, in words; 'nothing: …' if the function has no place for it.
pub fn apply<F: Function>(wanted: &Damage, _: &View<F>, _: &MachineEnv, _: &mut Output) -> String {
    format!("nothing: no damage called {}", wanted.kind)
}
