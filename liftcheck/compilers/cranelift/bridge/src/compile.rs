//! Requests and their replies; compiling one text for many targets.
//!
//! C request, after its letter, all u32: wants (bits below), number of handles, the handles, number of pairs to skip,
//! the pairs (function, target), the only function to compile or 0xffffffff; then the text (with the feature `shim`,
//! what `allocation.rs` says in front of it).
//! Head of the reply: {"names": […], "results": [target][function], "rules": […]}. A result is
//!   [length of code, alignment, relocations, traps, call sites, extra?]   lists are flat: offset, kind, name, addend, …
//!   a number    the same as that target's result for this function
//!   null        not asked for
//!   {"kind", "message", "place", "line"}   a failure, classified further by the client
//! The code of all results follows the head in order.

#[cfg(feature = "shim")]
use crate::allocation;
use crate::api;
use crate::isa;
use crate::json;
use crate::panics::{caught, Panic};
use crate::progress::{Progress, READING};
use crate::read::{self, Complaint};
use crate::rules;
use cranelift_codegen::ir::{ExternalName, Function, SourceLoc};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Flags};
use cranelift_codegen::{CodegenError, CompiledCode, Context};
use cranelift_reader::{Details, TestFile};
use std::fmt::{Display, Write};
use std::time::Duration;

const DISASSEMBLY: u32 = 1;
const VCODE: u32 = 2;
const SRCLOCS: u32 = 4;
const FRAME: u32 = 8;
const RULES: u32 = 16;
const CLIF: u32 = 32;
const BLOCKS: u32 = 64;
const NONE: u32 = u32::MAX;

pub struct Bridge {
    isas: Vec<OwnedTargetIsa>,
    context: Context,
    progress: Progress,
    /// Tests ask for faults by function names; nobody else does.
    faults: bool,
}

struct Request<'a> {
    wants: u32,
    handles: Vec<usize>,
    skip: Vec<(usize, usize)>,
    only: Option<usize>,
    #[cfg(feature = "shim")]
    allocation: allocation::Wanted,
    text: &'a str,
}

/// One result: its JSON, and its machine code in a common buffer.
struct Record {
    json: String,
    code: Vec<u8>,
}

impl Bridge {
    pub fn new(progress: Progress) -> Self {
        let faults = std::env::var_os("LIFTCHECK_BRIDGE_FAULTS").is_some();
        Self { isas: Vec::new(), context: Context::new(), progress, faults }
    }

    /// The whole reply, its length in front.
    pub fn answer(&mut self, request: &[u8]) -> Vec<u8> {
        let mut code = Vec::new();
        let head = match request.split_first() {
            Some((letter, rest)) => self.dispatch(*letter, rest, &mut code),
            None => Err("empty request".to_string()),
        };
        let head = head.unwrap_or_else(|message| {
            let mut out = String::from("{\"error\":");
            json::string(&mut out, &message);
            out + "}"
        });
        let mut reply = Vec::with_capacity(8 + head.len() + code.len());
        reply.extend_from_slice(&((4 + head.len() + code.len()) as u32).to_le_bytes());
        reply.extend_from_slice(&(head.len() as u32).to_le_bytes());
        reply.extend_from_slice(head.as_bytes());
        reply.extend_from_slice(&code);
        reply
    }

    fn dispatch(&mut self, letter: u8, rest: &[u8], code: &mut Vec<u8>) -> Result<String, String> {
        self.progress.at(READING, 0);
        match letter {
            b'I' => Ok(self.info()),
            b'T' => Ok(self.make_isa(text_of(rest)?)),
            b'S' => isa::enumerate(text_of(rest)?),
            b'C' => self.compile(&Request::parse(rest, self.isas.len()).ok_or("malformed request")?, code),
            b'V' => self.verify(rest),
            b'R' => Ok(self.read_filetest(text_of(rest)?)),
            other => Err(format!("unknown request {other}")),
        }
    }

    fn info(&self) -> String {
        let (version, regalloc) = (env!("BRIDGE_CRANELIFT"), env!("BRIDGE_REGALLOC"));
        let (assertions, rules) = (cfg!(debug_assertions), rules::AVAILABLE);
        format!(
            "{{\"cranelift\":\"{version}\",\"regalloc2\":\"{regalloc}\",\"assertions\":{assertions},\"rules\":{rules}}}"
        )
    }

    fn make_isa(&mut self, text: &str) -> String {
        let made = caught(|| isa::make(text)).unwrap_or_else(|p| Err(("combination", String::new(), p.message)));
        match made {
            Ok(isa) => {
                self.isas.push(isa);
                format!("{{\"handle\":{}}}", self.isas.len() - 1)
            }
            Err((kind, name, message)) => {
                let mut out = String::from("{");
                for (key, value) in [("refused", kind), ("name", &name), ("message", &message)] {
                    json::key(&mut out, key);
                    json::string(&mut out, value);
                }
                out + "}"
            }
        }
    }

    fn verify(&mut self, rest: &[u8]) -> Result<String, String> {
        let (head, text) = rest.split_at_checked(4).ok_or("malformed request")?;
        let handle = u32::from_le_bytes(head.try_into().unwrap());
        let complaints = match read::functions(text_of(text)?) {
            Err(complaint) => vec![complaint],
            Ok(file) if handle == NONE => {
                let flags = Flags::new(settings::builder());
                (file.functions.iter()).flat_map(|(f, details)| read::verify(f, details, &flags)).collect()
            }
            Ok(file) => {
                let isa: &dyn TargetIsa = &**self.isas.get(handle as usize).ok_or("unknown handle")?;
                (file.functions.iter()).flat_map(|(f, details)| read::verify(f, details, isa)).collect()
            }
        };
        Ok(complaints_json(0, 0, &complaints))
    }

    fn read_filetest(&mut self, text: &str) -> String {
        match read::functions(text) {
            Err(complaint) => complaints_json(0, 0, &[complaint]),
            Ok(file) => {
                let (accepted, complaints) = read::run_lines(&file);
                complaints_json(file.functions.len(), accepted, &complaints)
            }
        }
    }

    fn compile(&mut self, request: &Request, code: &mut Vec<u8>) -> Result<String, String> {
        let file = match read::functions(request.text) {
            Ok(file) => file,
            Err(complaint) => return Ok(complaints_json(0, 0, &[complaint])),
        };
        let mut out = String::from("{\"names\":");
        json::array(&mut out, &file.functions, |out, (f, _)| json::string(out, &f.name.to_string()));
        out.push_str(",\"results\":[");
        let mut fired = Fired::default();
        rules::record(request.wants & RULES != 0);
        let columns = self.columns(&file, request, &mut fired);
        rules::record(false);
        for (number, column) in columns.iter().enumerate() {
            out.push_str(if number == 0 { "[" } else { ",[" });
            for (index, record) in column.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                match record {
                    None => out.push_str("null"),
                    Some(record) => match self.twin(request, &columns, number, index, record) {
                        Some(twin) => write!(out, "{twin}").unwrap(),
                        None => {
                            out.push_str(&record.json);
                            code.extend_from_slice(&record.code);
                        }
                    },
                }
            }
            out.push(']');
        }
        out.push(']');
        if request.wants & RULES != 0 {
            json::key(&mut out, "rules");
            json::array(&mut out, &fired.names, |out, name| json::string(out, name));
        }
        out.push('}');
        Ok(out)
    }

    /// An earlier target of the same ISA whose result for this function is the same: the usual case between levels.
    fn twin(
        &self,
        request: &Request,
        columns: &[Vec<Option<Record>>],
        number: usize,
        index: usize,
        record: &Record,
    ) -> Option<usize> {
        let triple = self.isas[request.handles[number]].triple();
        (0..number).find(|&earlier| {
            let other = columns[earlier][index].as_ref();
            other.map_or(false, |other| other.code == record.code && other.json == record.json)
                && self.isas[request.handles[earlier]].triple() == triple
        })
    }

    fn columns(&mut self, file: &TestFile, request: &Request, fired: &mut Fired) -> Vec<Vec<Option<Record>>> {
        let mut columns: Vec<Vec<Option<Record>>> =
            request.handles.iter().map(|_| Vec::with_capacity(file.functions.len())).collect();
        // One target after another: what one ISA's backend needs stays in the caches.
        let mut numbered: Vec<Option<Numbered>> = file.functions.iter().map(|_| None).collect();
        for (number, handle) in request.handles.iter().enumerate() {
            let isa = self.isas[*handle].clone();
            for (index, (function, details)) in file.functions.iter().enumerate() {
                let wanted = request.only.map_or(true, |only| only == index) && !request.skip.contains(&(index, number));
                let record = wanted.then(|| {
                    self.progress.at(index as u32, number as u32);
                    if request.wants & SRCLOCS != 0 && numbered[index].is_none() {
                        numbered[index] = Some(Numbered::new(function, details));
                    }
                    self.one(function, details, &*isa, request, numbered[index].as_ref(), fired)
                });
                columns[number].push(record);
            }
        }
        self.progress.at(READING, 0);
        columns
    }

    fn one(
        &mut self,
        function: &Function,
        details: &Details,
        isa: &dyn TargetIsa,
        request: &Request,
        numbered: Option<&Numbered>,
        fired: &mut Fired,
    ) -> Record {
        let wants = request.wants;
        let context = &mut self.context;
        let faults = self.faults;
        let outcome = caught(|| {
            context.clear();
            context.func = numbered.map_or(function, |n| &n.function).clone();
            context.set_disasm(wants & VCODE != 0);
            #[cfg(feature = "shim")]
            allocation::begin(&mut context.func, &request.allocation);
            if faults {
                misbehave(&function.name.to_string());
            }
            api::run(context, isa)
        });
        let mut record = Record { json: String::new(), code: Vec::new() };
        match outcome {
            Ok(Ok(())) => {
                let compiled = self.context.compiled_code().expect("compiled");
                let extra = Extra { wants, isa, function: &self.context.func, numbered };
                match caught(|| describe(compiled, &extra, fired)) {
                    Ok(json) => {
                        record.json = json;
                        record.code = compiled.buffer.data().to_vec();
                    }
                    Err(panic) => record.json = failure("panic", &panic.message, &panic.place, 0),
                }
            }
            Ok(Err(error)) => record.json = refusal(error, function, details, isa),
            Err(panic) => {
                self.context = Context::new();
                #[cfg(feature = "shim")]
                let panic = allocation::explain(panic);
                record.json = panicked(panic, function, details, isa);
            }
        }
        rules::take();
        #[cfg(feature = "shim")]
        allocation::end();
        record
    }
}

fn text_of(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))
}

fn complaints_json(functions: usize, run_lines: usize, complaints: &[Complaint]) -> String {
    let mut out = format!("{{\"functions\":{functions},\"run_lines\":{run_lines},\"complaints\":");
    json::array(&mut out, complaints, |out, complaint| complaint.write(out));
    out + "}"
}

/// Function names of the form `%fault_KIND` do to the bridge what a broken compiler would.
fn misbehave(name: &str) {
    let Some(fault) = name.strip_prefix("%fault_") else { return };
    match fault.split_once('_').unwrap_or((fault, "0")) {
        ("sleep", ms) => std::thread::sleep(Duration::from_millis(ms.parse().unwrap_or(0))),
        ("hang", _) => loop {
            std::thread::sleep(Duration::from_secs(1))
        },
        ("eat", _) => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1u8; 64 << 20]);
            }
        }
        ("overflow", _) => drop(std::hint::black_box(deeper(1))),
        ("abort", _) => std::process::abort(),
        ("panic", _) => panic!("asked to panic on 17 values"),
        _ => (),
    }
}

#[allow(unconditional_recursion)]
fn deeper(depth: u64) -> u64 {
    std::hint::black_box([depth; 64]);
    deeper(depth + 1) + std::hint::black_box(depth)
}

/// The rules that matched in this request, numbered in order of appearance.
#[derive(Default)]
struct Fired {
    ids: std::collections::HashMap<u32, usize>,
    names: Vec<String>,
}

impl Fired {
    fn number(&mut self, id: u32) -> usize {
        let names = &mut self.names;
        *self.ids.entry(id).or_insert_with(|| {
            names.push(rules::name(id));
            names.len() - 1
        })
    }
}

/// A copy of a function whose source locations are the instructions' ordinals, and the line of each.
struct Numbered {
    function: Function,
    lines: Vec<usize>,
}

impl Numbered {
    fn new(original: &Function, details: &Details) -> Self {
        let mut function = original.clone();
        let mut lines = Vec::new();
        for block in original.layout.blocks() {
            for inst in original.layout.block_insts(block) {
                function.set_srcloc(inst, SourceLoc::new(lines.len() as u32));
                lines.push(details.map.location(inst.into()).map_or(0, |place| place.line_number));
            }
        }
        Self { function, lines }
    }
}

struct Extra<'a> {
    wants: u32,
    isa: &'a dyn TargetIsa,
    function: &'a Function,
    numbered: Option<&'a Numbered>,
}

fn describe(compiled: &CompiledCode, extra: &Extra, fired: &mut Fired) -> String {
    let mut out = String::with_capacity(256);
    write!(out, "[{},{},", compiled.buffer.data().len(), api::alignment(compiled)).unwrap();
    relocations(&mut out, compiled, extra.function);
    out.push(',');
    json::array(&mut out, compiled.buffer.traps(), |out, trap| write!(out, "{},\"{}\"", trap.offset, trap.code).unwrap());
    out.push(',');
    call_sites(&mut out, compiled);
    if extra.wants != 0 {
        out.push_str(",{");
        extras(&mut out, compiled, extra, fired);
        out.push('}');
    }
    out.push(']');
    out
}

fn relocations(out: &mut String, compiled: &CompiledCode, function: &Function) {
    json::array(out, compiled.buffer.relocs(), |out, reloc| {
        write!(out, "{},\"{:?}\",", reloc.offset, reloc.kind).unwrap();
        #[cfg(cl102)]
        api::target(out, &reloc.target, |name| symbol(name, function));
        #[cfg(not(cl102))]
        json::string(out, &symbol(&reloc.name, function));
        write!(out, ",{}", reloc.addend).unwrap();
    });
}

fn symbol(name: &ExternalName, function: &Function) -> String {
    match name {
        ExternalName::LibCall(call) => format!("libcall:{call:?}"),
        ExternalName::KnownSymbol(symbol) => format!("known:{symbol:?}"),
        other => other.display(Some(&function.params)).to_string(),
    }
}

/// [return offset, frame offset or null, [handlers]] each.
fn call_sites(out: &mut String, compiled: &CompiledCode) {
    json::array(out, compiled.buffer.call_sites(), |out, site| {
        write!(out, "[{},", site.ret_addr).unwrap();
        #[cfg(cl125)]
        match site.frame_offset {
            Some(offset) => write!(out, "{offset}").unwrap(),
            None => out.push_str("null"),
        }
        #[cfg(not(cl125))]
        out.push_str("null");
        out.push(',');
        #[cfg(cl120)]
        json::array(out, site.exception_handlers, api::handler);
        #[cfg(not(cl120))]
        out.push_str("[]");
        out.push(']');
    });
}

fn extras(out: &mut String, compiled: &CompiledCode, extra: &Extra, fired: &mut Fired) {
    let wants = extra.wants;
    if wants & DISASSEMBLY != 0 {
        json::key(out, "disassembly");
        json::string(out, &disassembly(compiled, extra));
    }
    if wants & VCODE != 0 {
        json::key(out, "vcode");
        json::string(out, compiled.vcode.as_deref().unwrap_or(""));
    }
    if let Some(numbered) = extra.numbered {
        json::key(out, "srclocs");
        let ranges = compiled.buffer.get_srclocs_sorted().iter();
        let numbers = ranges.filter_map(|range| Some((range, api::location(range.loc)?)));
        json::array(out, numbers, |out, (range, ordinal)| {
            write!(out, "[{},{},{ordinal},{}]", range.start, range.end, numbered.lines[ordinal]).unwrap();
        });
    }
    if wants & FRAME != 0 {
        json::key(out, "frame");
        api::frame(out, compiled, extra.function);
    }
    if wants & RULES != 0 {
        json::key(out, "rules");
        json::array(out, rules::take(), |out, id| write!(out, "{}", fired.number(id)).unwrap());
    }
    if wants & CLIF != 0 {
        json::key(out, "clif");
        json::string(out, &shown(extra.function.display()));
    }
    if wants & BLOCKS != 0 {
        json::key(out, "blocks");
        json::array(out, &compiled.bb_starts, |out, start| write!(out, "{start}").unwrap());
    }
    #[cfg(feature = "shim")]
    allocation::write(out, compiled, extra.function);
}

fn shown(value: impl Display) -> String {
    value.to_string()
}

fn disassembly(compiled: &CompiledCode, extra: &Extra) -> String {
    match extra.isa.to_capstone() {
        Ok(engine) => match compiled.disassemble(Some(&extra.function.params), &engine) {
            Ok(text) => text,
            Err(error) => format!("; {error}"),
        },
        Err(error) => format!("; {error}"),
    }
}

fn failure(kind: &str, message: &str, place: &str, line: usize) -> String {
    let mut out = String::from("{");
    for (key, value) in [("kind", kind), ("message", message), ("place", place)] {
        json::key(&mut out, key);
        json::string(&mut out, value);
    }
    write!(out, ",\"line\":{line}}}").unwrap();
    out
}

/// A verifier's complaint about the text as it was read is the text's fault; one that comes later is a finding.
fn ill_typed(function: &Function, details: &Details, isa: &dyn TargetIsa) -> Option<String> {
    let complaint = read::verify(function, details, isa).into_iter().next()?;
    Some(failure("input", &complaint.message, &complaint.place, complaint.line))
}

fn refusal(error: CodegenError, function: &Function, details: &Details, isa: &dyn TargetIsa) -> String {
    match error {
        CodegenError::Unsupported(message) => failure("unsupported", &message, "", 0),
        CodegenError::Verifier(errors) => {
            ill_typed(function, details, isa).unwrap_or_else(|| failure("verifier", &errors.to_string(), "", 0))
        }
        CodegenError::ImplLimitExceeded | CodegenError::CodeTooLarge => failure("limit", &error.to_string(), "", 0),
        other => failure("error", &format!("{other:?}"), "", 0),
    }
}

/// The verifier runs first inside `compile` too, but not if `enable_verifier` is off.
fn panicked(panic: Panic, function: &Function, details: &Details, isa: &dyn TargetIsa) -> String {
    ill_typed(function, details, isa).unwrap_or_else(|| failure("panic", &panic.message, &panic.place, 0))
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8], handles: usize) -> Option<Self> {
        let mut rest = bytes;
        let mut next = || {
            let (head, tail) = rest.split_at_checked(4)?;
            rest = tail;
            Some(u32::from_le_bytes(head.try_into().unwrap()) as usize)
        };
        let wants = next()? as u32;
        let targets: Vec<usize> = (0..next()?).map(|_| next()).collect::<Option<_>>()?;
        let skip = (0..next()?).map(|_| Some((next()?, next()?))).collect::<Option<_>>()?;
        let only = Some(next()?).filter(|only| *only != NONE as usize);
        let known = targets.iter().all(|handle| *handle < handles);
        #[cfg(feature = "shim")]
        let (allocation, rest) = allocation::Wanted::parse(wants, rest)?;
        let text = std::str::from_utf8(rest).ok()?;
        known.then_some(Self {
            wants,
            handles: targets,
            skip,
            only,
            #[cfg(feature = "shim")]
            allocation,
            text,
        })
    }
}
