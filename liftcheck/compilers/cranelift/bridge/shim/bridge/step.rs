//! One change of an allocator's answer, and how it is told.
//!
//! A step names the places that it could put somewhere; which one is settled when the step is chosen (`damage.rs`).

use regalloc2::{Allocation, Answer, Edit, InstPosition, ProgPoint};

#[derive(Clone)]
pub enum Step {
    /// The place of an operand of an instruction, one of these.
    Place(usize, usize, Vec<Allocation>),
    /// An edit's source (true) or target becomes one of these.
    Edit(usize, bool, Vec<Allocation>),
    Drop(usize),
    /// An edit and the next one.
    Order(usize),
    Point(usize, ProgPoint),
    /// From one of these.
    Insert(ProgPoint, Vec<Allocation>, Allocation),
    /// Every mention of one place becomes one of these.
    Everywhere(Allocation, Vec<Allocation>),
    /// Mentions of one place behind an instruction up to another one become one of these.
    Between(usize, usize, Allocation, Vec<Allocation>),
    /// So many spill slots fewer.
    Slots(usize),
}

impl Step {
    /// With one place in each list.
    pub fn settled(&self, variety: usize) -> Step {
        let one = |list: &Vec<Allocation>| vec![list[variety % list.len()]];
        match self.clone() {
            Step::Place(inst, operand, list) => Step::Place(inst, operand, one(&list)),
            Step::Edit(edit, source, list) => Step::Edit(edit, source, one(&list)),
            Step::Insert(point, list, to) => Step::Insert(point, one(&list), to),
            Step::Everywhere(old, list) => Step::Everywhere(old, one(&list)),
            Step::Between(first, last, old, list) => Step::Between(first, last, old, one(&list)),
            other => other,
        }
    }

    /// What was done, in words.
    pub fn apply(&self, answer: &mut Answer) -> String {
        match self {
            Step::Place(inst, operand, new) => {
                let place = &mut answer.allocs[answer.inst_alloc_offsets[*inst] as usize + operand];
                let old = std::mem::replace(place, new[0]);
                format!("inst {inst} operand {operand}: {old} -> {}", new[0])
            }
            Step::Edit(edit, source, new) => {
                let words = shown(answer, *edit);
                let Edit::Move { from, to } = &mut answer.edits[*edit].1;
                *(if *source { from } else { to }) = new[0];
                format!("{words} becomes {}", shown(answer, *edit))
            }
            Step::Drop(edit) => {
                let words = shown(answer, *edit);
                answer.edits.remove(*edit);
                format!("{words} dropped")
            }
            Step::Order(edit) => {
                let words = format!("{} swapped with {}", shown(answer, *edit), shown(answer, edit + 1));
                let point = answer.edits[*edit].0;
                answer.edits.swap(*edit, edit + 1);
                answer.edits[*edit].0 = point;
                words
            }
            Step::Point(edit, point) => {
                let words = shown(answer, *edit);
                let (old, moved) = answer.edits.remove(*edit);
                // Later than what stands there already if it comes from before, else earlier.
                let at = match *point > old {
                    true => answer.edits.partition_point(|(other, _)| other <= point),
                    false => answer.edits.partition_point(|(other, _)| other < point),
                };
                answer.edits.insert(at, (*point, moved));
                format!("{words} becomes {}", shown(answer, at))
            }
            Step::Insert(point, from, to) => {
                let at = answer.edits.partition_point(|(other, _)| other <= point);
                answer.edits.insert(at, (*point, Edit::Move { from: from[0], to: *to }));
                format!("{} added", shown(answer, at))
            }
            Step::Everywhere(old, new) => {
                rename(answer, 0, usize::MAX, *old, new[0]);
                format!("{old} becomes {} everywhere", new[0])
            }
            Step::Between(first, last, old, new) => {
                rename(answer, *first, *last, *old, new[0]);
                format!("{old} becomes {} behind inst {first} up to inst {last}", new[0])
            }
            Step::Slots(fewer) => {
                answer.num_spillslots -= fewer;
                format!("{} spill slots in place of {}", answer.num_spillslots, answer.num_spillslots + fewer)
            }
        }
    }
}

/// Operands and edits from behind instruction `first` up to just before `last` is through with reading; from 0: all.
fn rename(answer: &mut Answer, first: usize, last: usize, old: Allocation, new: Allocation) {
    let swap = |place: &mut Allocation| {
        if *place == old {
            *place = new;
        }
    };
    let whole = last == usize::MAX;
    for inst in first..answer.inst_alloc_offsets.len().min(last.saturating_add(1)) {
        let start = answer.inst_alloc_offsets[inst] as usize;
        let end = answer.inst_alloc_offsets.get(inst + 1).map_or(answer.allocs.len(), |end| *end as usize);
        if whole || inst > first {
            answer.allocs[start..end].iter_mut().for_each(swap);
        }
    }
    for (point, Edit::Move { from, to }) in &mut answer.edits {
        let inst = point.inst().index();
        if whole || inst > first && inst <= last || inst == first && point.pos() == InstPosition::After {
            swap(from);
            swap(to);
        }
    }
}

fn shown(answer: &Answer, edit: usize) -> String {
    let (point, Edit::Move { from, to }) = &answer.edits[edit];
    let side = if point.pos() == InstPosition::Before { "before" } else { "after" };
    format!("edit {side} inst {}: {from} -> {to}", point.inst().index())
}
