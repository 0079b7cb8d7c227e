//! Panics become values: a hook keeps message and place, `caught` gives them back.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

/// Some panics carry the Debug form of a whole function.
const LONGEST: usize = 4000;

pub struct Panic {
    pub message: String,
    pub place: String,
}

thread_local!(static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) });

pub fn install() {
    panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().map(|s| s.to_string());
        let mut message = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default();
        if message.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&i| message.is_char_boundary(i)).unwrap();
            message.truncate(end);
        }
        let place = info.location().map(|l| format!("{}:{}:{}", l.file(), l.line(), l.column()));
        LAST.with(|last| *last.borrow_mut() = Some(Panic { message, place: place.unwrap_or_default() }));
    }));
}

/// What `action` gives, or what it panicked with.
pub fn caught<T>(action: impl FnOnce() -> T) -> Result<T, Panic> {
    panic::catch_unwind(AssertUnwindSafe(action)).map_err(|_| {
        LAST.with(|last| last.borrow_mut().take())
            .unwrap_or_else(|| Panic { message: "panic without a message".into(), place: String::new() })
    })
}
