//! What is asked of the shim on this thread.

use real::{Function, MachineEnv, Output};
use std::cell::{Cell, RefCell};

/// Sees what went in (function, machine, algorithm) and what came out, and may change the latter.
pub type Watch = fn(&dyn Function, &MachineEnv, &'static str, &mut Output);

#[derive(Clone, Copy)]
pub struct Request {
    pub watch: Watch,
    /// The entry begins with markers (`output`): they are hidden from the allocator and handed out between steps.
    pub markers: bool,
}

thread_local! {
    static REQUEST: Cell<Option<Request>> = const { Cell::new(None) };
    static MARKERS: Cell<Option<usize>> = const { Cell::new(None) };
    static ORDER: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Every allocation on this thread from now on; `None`: nothing is watched.
pub fn ask(request: Option<Request>) {
    REQUEST.with(|cell| cell.set(request));
    set_markers(None);
}

/// The first marker of the last function, if it had any.
pub fn markers() -> Option<usize> {
    MARKERS.with(|cell| cell.get())
}

/// The blocks of the last function in the order in which their code was emitted.
pub fn order() -> Vec<usize> {
    ORDER.with(|cell| cell.borrow().clone())
}

pub(crate) fn request() -> Option<Request> {
    REQUEST.with(|cell| cell.get())
}

pub(crate) fn set_markers(first: Option<usize>) {
    MARKERS.with(|cell| cell.set(first));
    ORDER.with(|cell| cell.borrow_mut().clear());
}

pub(crate) fn emitted(block: usize) {
    ORDER.with(|cell| cell.borrow_mut().push(block));
}
