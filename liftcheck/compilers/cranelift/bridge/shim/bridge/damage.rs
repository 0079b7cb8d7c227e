//! Wrong answers, on request: faults planted where the allocator hands its answer to the compiler.
//!
//! The one idea: a kind of damage is a list of *sites*, found by looking at the answer; the seed chooses one (seed modulo
//! their number) and what is put there (the quotient). Whether the damage changes what the code does is for others to say;
//! only changes that cannot matter at all, such as dropping a move to itself, are no sites.

#[path = "step.rs"]
mod step;

use regalloc2::{Allocation, Answer, Block, Edit, Function, Inst, InstPosition, MachineEnv, Operand, OperandConstraint};
use regalloc2::{OperandKind, OperandPos, PReg, ProgPoint, RegClass, SpillSlot};
use std::collections::HashSet;
use step::Step;

#[derive(Clone)]
pub struct Damage {
    pub kind: String,
    pub seed: u32,
}

/// What was done, in words; 'nothing: …' if the function has no place for it.
pub fn apply(wanted: &Damage, function: &dyn Function, env: &MachineEnv, answer: &mut Answer) -> String {
    let ground = Ground::new(function, env, answer);
    let Some(sites) = sites(&wanted.kind, &ground) else {
        return format!("nothing: no damage called {}", wanted.kind);
    };
    if sites.is_empty() {
        return format!("nothing: no site for {}", wanted.kind);
    }
    let (choice, variety) = (wanted.seed as usize % sites.len(), wanted.seed as usize / sites.len());
    let steps: Vec<Step> = sites[choice].iter().map(|step| step.settled(variety)).collect();
    let words: Vec<String> = steps.iter().map(|step| step.apply(answer)).collect();
    words.join("; ")
}

type Site = Vec<Step>;

/// Where a kind of damage is possible; `capture.py` says what each means.
fn sites(kind: &str, ground: &Ground) -> Option<Vec<Site>> {
    Some(match kind {
        "use" => ground.operands(OperandKind::Use, |_, _, o| ground.other_place(o)),
        "def" => ground.operands(OperandKind::Def, |_, _, o| ground.other_place(o)),
        "use-of-value" => ground.other_values(),
        "swap-uses" => ground.swapped_uses(),
        "def-on-def" => ground.collisions(OperandKind::Def),
        "early-def-on-use" => ground.collisions(OperandKind::Use),
        "class" => ground.operands(OperandKind::Use, |_, _, o| ground.other_class(o)),
        "slot-operand" => ground.slot_operands(),
        "drop-edit" => ground.edits(|edit| vec![vec![Step::Drop(edit)]]),
        "retarget-edit" => ground.edits(|edit| ground.changed(edit, false)),
        "resource-edit" => ground.edits(|edit| ground.changed(edit, true)),
        "swap-edits" => ground.swapped_edits(),
        "edit-side" => ground.edits(|edit| ground.other_side(edit)),
        "edit-neighbour" => ground.edits(|edit| ground.neighbour(edit)),
        "extra-edit" => ground.extra_edits(),
        "merge-slots" => ground.merged_slots(),
        "half-slot" => ground.half_slots(),
        "few-slots" => ground.few_slots(),
        "clobber" => ground.clobbered(),
        "edge-edit" => ground.edge_edits(),
        "reuse-copy" => ground.reuse_copies(),
        _ => return None,
    })
}

struct Move {
    inst: usize,
    position: InstPosition,
    from: Allocation,
    to: Allocation,
}

/// The function and the answer, to look at.
struct Ground<'a> {
    function: &'a dyn Function,
    pools: [Vec<PReg>; 3],
    places: Vec<Vec<Allocation>>,
    moves: Vec<Move>,
    /// First slot and length of each slot that is used.
    slots: Vec<(usize, usize)>,
    count: usize,
    /// Of the blocks, the first and the last instructions.
    firsts: HashSet<usize>,
    lasts: HashSet<usize>,
}

impl<'a> Ground<'a> {
    fn new(function: &'a dyn Function, env: &MachineEnv, answer: &Answer) -> Self {
        let pool = |class: usize| {
            let both = [&env.preferred_regs_by_class, &env.non_preferred_regs_by_class];
            both.into_iter().filter_map(|lists| lists.get(class)).flat_map(|list| list.clone()).collect()
        };
        let places = (0..function.num_insts()).map(|inst| answer.inst_allocs(Inst::new(inst)).to_vec()).collect();
        let moves = answer.edits.iter().map(|(point, Edit::Move { from, to })| Move {
            inst: point.inst().index(),
            position: point.pos(),
            from: *from,
            to: *to,
        });
        let mut ground = Self {
            function,
            pools: [pool(0), pool(1), pool(2)],
            places,
            moves: moves.collect(),
            slots: Vec::new(),
            count: answer.num_spillslots,
            firsts: HashSet::new(),
            lasts: HashSet::new(),
        };
        ground.firsts = ground.blocks().map(|(_, first, _)| first).collect();
        ground.lasts = ground.blocks().map(|(_, _, end)| end - 1).collect();
        ground.slots = ground.used_slots();
        ground
    }

    fn used_slots(&self) -> Vec<(usize, usize)> {
        let mut slots = Vec::new();
        for edit in &self.moves {
            let classes = edit.from.as_reg().or(edit.to.as_reg()).map(|register| register.class());
            for slot in [edit.from.as_stack(), edit.to.as_stack()].into_iter().flatten() {
                slots.push((slot.index(), classes.map_or(1, |class| self.function.spillslot_size(class))));
            }
        }
        for inst in 0..self.places.len() {
            for (operand, place) in self.operands_of(inst).iter().zip(&self.places[inst]) {
                if let Some(slot) = place.as_stack() {
                    slots.push((slot.index(), self.function.spillslot_size(operand.class())));
                }
            }
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    fn operands_of(&self, inst: usize) -> &[Operand] {
        self.function.inst_operands(Inst::new(inst))
    }

    fn blocks(&self) -> impl Iterator<Item = (Block, usize, usize)> + '_ {
        (0..self.function.num_blocks()).map(Block::new).map(|block| {
            let range = self.function.block_insns(block);
            (block, range.first().index(), range.first().index() + range.len())
        })
    }

    /// Instructions with a place that is free to be any register, and no other operand that is bound to it.
    fn operands(&self, kind: OperandKind, find: impl Fn(usize, usize, (Operand, Allocation)) -> Vec<Allocation>) -> Vec<Site> {
        let mut sites = Vec::new();
        for inst in 0..self.places.len() {
            let operands = self.operands_of(inst);
            for (number, (operand, place)) in operands.iter().zip(&self.places[inst]).enumerate() {
                if operand.kind() == kind && is_free(operands, number) && place.as_reg().is_some() {
                    let list = find(inst, number, (*operand, *place));
                    if !list.is_empty() {
                        sites.push(vec![Step::Place(inst, number, list)]);
                    }
                }
            }
        }
        sites
    }

    fn registers(&self, class: RegClass, but: Allocation) -> Vec<Allocation> {
        self.pools[class as usize].iter().map(|one| Allocation::reg(*one)).filter(|one| *one != but).collect()
    }

    fn other_place(&self, (operand, place): (Operand, Allocation)) -> Vec<Allocation> {
        let mut list = self.registers(operand.class(), place);
        if let Some(most) = limit(operand) {
            list.retain(|one| one.as_reg().is_some_and(|register| register.hw_enc() < most));
        }
        list
    }

    fn other_class(&self, (operand, place): (Operand, Allocation)) -> Vec<Allocation> {
        let number = place.as_reg().map(|register| register.hw_enc());
        let others = (0..3).filter(|class| *class != operand.class() as usize).flat_map(|class| &self.pools[class]);
        others.filter(|one| Some(one.hw_enc()) != number).map(|one| Allocation::reg(*one)).collect()
    }

    /// A use reads a register that another operand of its block has: one that likely holds another value.
    fn other_values(&self) -> Vec<Site> {
        self.operands(OperandKind::Use, |inst, _, (operand, place)| {
            let near = inst.saturating_sub(8)..(inst + 8).min(self.places.len());
            let mut list: Vec<Allocation> = near.flat_map(|other| self.places[other].iter().copied()).collect();
            list.retain(|one| *one != place && one.as_reg().is_some_and(|r| self.pools[operand.class() as usize].contains(&r)));
            list.sort_unstable();
            list.dedup();
            list
        })
    }

    fn swapped_uses(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (inst, places) in self.places.iter().enumerate() {
            let operands = self.operands_of(inst);
            let uses: Vec<usize> = (0..places.len())
                .filter(|n| operands[*n].kind() == OperandKind::Use && is_free(operands, *n) && places[*n].is_reg())
                .collect();
            for (at, &first) in uses.iter().enumerate() {
                for &second in &uses[at + 1..] {
                    let same = operands[first].class() == operands[second].class();
                    if same && places[first] != places[second] {
                        let one = Step::Place(inst, first, vec![places[second]]);
                        sites.push(vec![one, Step::Place(inst, second, vec![places[first]])]);
                    }
                }
            }
        }
        sites
    }

    /// Two operands of one instruction in one register that must not be: two definitions, or a definition (early) and a use.
    fn collisions(&self, with: OperandKind) -> Vec<Site> {
        self.operands(OperandKind::Def, |inst, number, (operand, place)| {
            if with == OperandKind::Use && operand.pos() == OperandPos::Late {
                return Vec::new();
            }
            let others = self.operands_of(inst).iter().zip(&self.places[inst]).enumerate();
            let bad = others.filter(|(other, (o, p))| {
                *other != number && o.kind() == with && o.class() == operand.class() && p.is_reg() && **p != place
            });
            bad.map(|(_, (_, place))| *place).collect()
        })
    }

    fn slot_operands(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for inst in 0..self.places.len() {
            for (number, (operand, place)) in self.operands_of(inst).iter().zip(&self.places[inst]).enumerate() {
                let Some(slot) = place.as_stack() else { continue };
                let list = self.other_slots(slot, self.function.spillslot_size(operand.class()));
                if !list.is_empty() {
                    sites.push(vec![Step::Place(inst, number, list)]);
                }
            }
        }
        sites
    }

    fn other_slots(&self, slot: SpillSlot, size: usize) -> Vec<Allocation> {
        let others = self.slots.iter().filter(|(first, length)| *first != slot.index() && *length == size);
        others.map(|(first, _)| Allocation::stack(SpillSlot::new(*first))).collect()
    }

    fn edits(&self, find: impl Fn(usize) -> Vec<Site>) -> Vec<Site> {
        (0..self.moves.len()).filter(|edit| self.moves[*edit].from != self.moves[*edit].to).flat_map(find).collect()
    }

    fn changed(&self, edit: usize, source: bool) -> Vec<Site> {
        let Move { from, to, .. } = self.moves[edit];
        let old = if source { from } else { to };
        let class = from.as_reg().or(to.as_reg()).map(|register| register.class());
        let Some(class) = class else { return Vec::new() };
        let mut list = match old.as_stack() {
            Some(slot) => self.other_slots(slot, self.function.spillslot_size(class)),
            None => self.registers(class, old),
        };
        list.retain(|one| *one != from && *one != to);
        if list.is_empty() { Vec::new() } else { vec![vec![Step::Edit(edit, source, list)]] }
    }

    /// Neighbours at one point of which one writes what the other reads or writes.
    fn swapped_edits(&self) -> Vec<Site> {
        let pairs = self.moves.windows(2).enumerate().filter(|(_, pair)| {
            let (a, b) = (&pair[0], &pair[1]);
            let there = (a.inst, a.position) == (b.inst, b.position);
            there && a.from != a.to && b.from != b.to && (a.to == b.from || a.from == b.to || a.to == b.to)
        });
        pairs.map(|(edit, _)| vec![Step::Order(edit)]).collect()
    }

    fn other_side(&self, edit: usize) -> Vec<Site> {
        let Move { inst, position, from, to } = self.moves[edit];
        let touches = self.places[inst].iter().any(|place| *place == from || *place == to);
        let new = match position {
            InstPosition::Before => ProgPoint::after(Inst::new(inst)),
            InstPosition::After => ProgPoint::before(Inst::new(inst)),
        };
        if !touches || self.lasts.contains(&inst) { Vec::new() } else { vec![vec![Step::Point(edit, new)]] }
    }

    /// To the same side of the instruction before or behind.
    fn neighbour(&self, edit: usize) -> Vec<Site> {
        let Move { inst, position, .. } = self.moves[edit];
        let mut sites = Vec::new();
        if !self.firsts.contains(&inst) {
            sites.push(vec![Step::Point(edit, ProgPoint::new(Inst::new(inst - 1), position))]);
        }
        if !self.lasts.contains(&inst) && (position == InstPosition::Before || !self.lasts.contains(&(inst + 1))) {
            sites.push(vec![Step::Point(edit, ProgPoint::new(Inst::new(inst + 1), position))]);
        }
        sites
    }

    /// A register that an instruction reads is overwritten just before.
    fn extra_edits(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (inst, places) in self.places.iter().enumerate() {
            for (operand, place) in self.operands_of(inst).iter().zip(places) {
                let allocated = place.as_reg().is_some_and(|r| self.pools[operand.class() as usize].contains(&r));
                if operand.kind() == OperandKind::Use && allocated {
                    let list = self.registers(operand.class(), *place);
                    sites.push(vec![Step::Insert(ProgPoint::before(Inst::new(inst)), list, *place)]);
                }
            }
        }
        sites
    }

    fn merged_slots(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        let place = |first: usize| Allocation::stack(SpillSlot::new(first));
        for (at, (first, length)) in self.slots.iter().enumerate() {
            for (second, _) in self.slots[at + 1..].iter().filter(|(_, other)| other == length) {
                sites.push(vec![Step::Everywhere(place(*second), vec![place(*first)])]);
            }
        }
        sites
    }

    /// A value of several slots is moved into half of its neighbour's.
    fn half_slots(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (first, length) in self.slots.iter().filter(|(_, length)| *length > 1) {
            for (next, _) in self.slots.iter().filter(|(next, _)| *next == first + length) {
                let (old, new) = (SpillSlot::new(*first), SpillSlot::new(next - length / 2));
                sites.push(vec![Step::Everywhere(Allocation::stack(old), vec![Allocation::stack(new)])]);
            }
        }
        sites
    }

    /// The frame has no room for the last slot.
    fn few_slots(&self) -> Vec<Site> {
        let last = self.slots.iter().filter(|(first, length)| first + length == self.count);
        last.map(|(_, length)| vec![Step::Slots(*length)]).collect()
    }

    /// What lives across an instruction that clobbers lives in one of the clobbered registers.
    fn clobbered(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (_, first, end) in self.blocks() {
            for inst in first..end {
                let lost: Vec<PReg> = self.function.inst_clobbers(Inst::new(inst)).into_iter().collect();
                if !lost.is_empty() {
                    self.across(first, inst, end, &lost, &mut sites);
                }
            }
        }
        sites
    }

    fn across(&self, first: usize, call: usize, end: usize, lost: &[PReg], sites: &mut Vec<Site>) {
        for (number, before) in self.moves.iter().enumerate() {
            let early = (first..call).contains(&before.inst) || before.inst == call && before.position == InstPosition::Before;
            if !early || before.from == before.to {
                continue;
            }
            let Some(class) = before.from.as_reg().or(before.to.as_reg()).map(|register| register.class()) else { continue };
            let fit = lost.iter().filter(|register| self.pools[class as usize].contains(register));
            let list: Vec<Allocation> = fit.map(|one| Allocation::reg(*one)).filter(|one| *one != before.from).collect();
            if list.is_empty() {
                continue;
            }
            if before.to.is_stack() {
                sites.push(vec![Step::Everywhere(before.to, list.clone())]);
            }
            let kept = before.to.as_reg().map_or(true, |register| !lost.contains(&register));
            let Some(reader) = self.reader(number, call, end).filter(|_| kept) else { continue };
            // The list has one order, so both steps settle on the same register.
            let write = Step::Edit(number, false, list.clone());
            sites.push(vec![write, self.reads(number, reader, before, list)]);
        }
    }

    fn reads(&self, number: usize, reader: Reader, before: &Move, list: Vec<Allocation>) -> Step {
        match reader {
            Reader::Edit(edit) => Step::Edit(edit, true, list),
            Reader::Inst(inst) => {
                // Edits at the same point behind the write read it too.
                let from = self.moves[number].inst.saturating_sub(usize::from(before.position == InstPosition::Before));
                Step::Between(from, inst, before.to, list)
            }
        }
    }

    /// Who reads the target of an edit first behind instruction `call`, if nothing writes it before.
    fn reader(&self, number: usize, call: usize, end: usize) -> Option<Reader> {
        let place = self.moves[number].to;
        let mut edit = number + 1;
        for inst in self.moves[number].inst..end {
            for position in [InstPosition::Before, InstPosition::After] {
                if position == InstPosition::After && inst >= self.moves[number].inst {
                    let at = self.places[inst].iter().position(|other| *other == place);
                    let started = inst > self.moves[number].inst || self.moves[number].position == InstPosition::Before;
                    if let Some(operand) = at.filter(|_| started) {
                        let operand = self.operands_of(inst)[operand];
                        let reads = operand.kind() == OperandKind::Use;
                        if inst > call || !reads {
                            let free = !matches!(operand.constraint(), OperandConstraint::FixedReg(_));
                            return (inst > call && reads && free).then_some(Reader::Inst(inst));
                        }
                    }
                }
                while let Some(next) = self.moves.get(edit).filter(|next| next.inst == inst && next.position == position) {
                    if next.to == place {
                        return None;
                    }
                    if next.from == place && (inst > call || inst == call && position == InstPosition::After) {
                        return Some(Reader::Edit(edit));
                    }
                    edit += 1;
                }
            }
        }
        None
    }

    /// A move on an edge to a block with parameters takes another register.
    fn edge_edits(&self) -> Vec<Site> {
        let mut lasts = HashSet::new();
        for (block, _, end) in self.blocks() {
            if self.function.block_succs(block).iter().any(|next| !self.function.block_params(*next).is_empty()) {
                lasts.insert(end - 1);
            }
        }
        let on_edge = |edit: usize| {
            let Move { inst, position, .. } = self.moves[edit];
            position == InstPosition::Before && lasts.contains(&inst)
        };
        self.edits(|edit| if on_edge(edit) { self.changed(edit, true) } else { Vec::new() })
    }

    /// The move that fetches an input that a definition overwrites is missing.
    fn reuse_copies(&self) -> Vec<Site> {
        self.edits(|edit| {
            let Move { inst, position, to, .. } = self.moves[edit];
            let reused = self.operands_of(inst).iter().any(|operand| match operand.constraint() {
                OperandConstraint::Reuse(input) => self.places[inst][input] == to,
                _ => false,
            });
            if reused && position == InstPosition::Before { vec![vec![Step::Drop(edit)]] } else { Vec::new() }
        })
    }
}

enum Reader {
    Edit(usize),
    Inst(usize),
}

/// Whether an operand may be in any register, and none is bound to be where it is.
fn is_free(operands: &[Operand], number: usize) -> bool {
    let bound = |other: &Operand| matches!(other.constraint(), OperandConstraint::Reuse(input) if input == number);
    let fixed = matches!(operands[number].constraint(), OperandConstraint::FixedReg(_) | OperandConstraint::Reuse(_));
    !fixed && !operands.iter().any(bound)
}

#[cfg(cl125)]
fn limit(operand: Operand) -> Option<usize> {
    match operand.constraint() {
        OperandConstraint::Limit(most) => Some(most),
        _ => None,
    }
}

#[cfg(not(cl125))]
fn limit(_: Operand) -> Option<usize> {
    None
}
