//! Which ISLE rules matched. With `trace-log` the generated matchers log one literal a match (0.130 and newer); its
//! address identifies the rule, so nothing is formatted. "Matched", not "used": the line precedes the right-hand side.

use log::{LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use std::collections::HashMap;

pub const AVAILABLE: bool = cfg!(cl130);

#[derive(Default)]
struct Rules {
    ids: HashMap<usize, u32>,
    names: Vec<&'static str>,
    fired: Vec<u32>,
    seen: Vec<bool>,
}

thread_local!(static RULES: RefCell<Rules> = RefCell::new(Rules::default()));

struct Tap;

impl Log for Tap {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        if let Some(text) = record.args().as_str().filter(|text| text.starts_with("ISLE ")) {
            RULES.with(|rules| rules.borrow_mut().note(text));
        }
        #[cfg(feature = "shim")]
        crate::allocation::log(record);
    }

    fn flush(&self) {}
}

impl Rules {
    fn note(&mut self, text: &'static str) {
        let next = self.names.len() as u32;
        let id = *self.ids.entry(text.as_ptr() as usize).or_insert(next);
        if id == next {
            self.names.push(text);
            self.seen.push(false);
        }
        if !std::mem::replace(&mut self.seen[id as usize], true) {
            self.fired.push(id);
        }
    }
}

pub fn install() {
    log::set_logger(&Tap).expect("the only logger");
    log::set_max_level(LevelFilter::Off);
}

pub fn record(on: bool) {
    log::set_max_level(if on { LevelFilter::Debug } else { LevelFilter::Off });
}

/// The rules that matched since the last call, as ids, in order of their first match.
pub fn take() -> Vec<u32> {
    RULES.with(|rules| {
        let mut rules = rules.borrow_mut();
        let fired = std::mem::take(&mut rules.fired);
        for id in &fired {
            rules.seen[*id as usize] = false;
        }
        fired
    })
}

/// `src/opts/arithmetic.isle:482 simplify` of rule `id`.
pub fn name(id: u32) -> String {
    let text = RULES.with(|rules| rules.borrow().names[id as usize]);
    let mut words = text["ISLE ".len()..].split(' ');
    let (term, file, line) = (words.next().unwrap_or(""), words.next().unwrap_or(""), words.last().unwrap_or(""));
    format!("{file}:{line} {term}")
}
