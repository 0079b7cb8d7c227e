//! liftcheck's bridge to Cranelift: reads requests on standard input, answers on standard output.
//!
//! A message is a little-endian u32 length and that many bytes, both ways. The first byte of a request names it:
//!   I                     what this bridge is
//!   T triple \n settings  makes an ISA, answers its handle; settings are lines `name=value`, value 'preset' enables
//!   S triple              every setting with kind, values, default and description
//!   C …                   compiles one text for several handles (see `compile.rs`)
//!   V u32 handle, text    reads and verifies (handle 0xffffffff: default flags, no ISA)
//!   R text                reads a whole filetest with its run lines
//! A reply is a u32 length of its JSON head, the head, and machine code. File descriptor `--progress N` always says which
//! function is being compiled for which target, so that the parent knows whom to blame if this process dies.
//! One source for all versions; `cfg(clN)` holds from cranelift 0.N on (`build.rs`).

#[cfg(feature = "shim")]
mod allocation;
mod api;
mod compile;
mod isa;
mod json;
mod panics;
mod progress;
mod read;
mod rules;

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Cranelift recurses in places; what needs more than this is reported as a stack overflow.
const STACK: usize = 64 << 20;

fn main() {
    exit_with_parent();
    panics::install();
    rules::install();
    let worker = std::thread::Builder::new().name("bridge".into()).stack_size(STACK).spawn(serve).unwrap();
    if let Err(error) = worker.join().unwrap() {
        eprintln!("liftcheck-bridge: {error}");
        std::process::exit(1);
    }
}

/// An endless compilation must not outlive the campaign that asked for it.
fn exit_with_parent() {
    let parent = std::os::unix::process::parent_id();
    std::thread::spawn(move || loop {
        std::thread::sleep(Duration::from_millis(500));
        if std::os::unix::process::parent_id() != parent {
            std::process::exit(0);
        }
    });
}

fn serve() -> io::Result<()> {
    // `Stdout` is line buffered and would cut a reply at every 0x0a byte.
    let (mut input, mut output) = unsafe { (raw(0), raw(1)) };
    let mut bridge = compile::Bridge::new(progress::Progress::from_args());
    let mut request = Vec::new();
    while read_message(&mut input, &mut request)? {
        let reply = bridge.answer(&request);
        output.write_all(&reply)?;
    }
    Ok(())
}

unsafe fn raw(fd: i32) -> ManuallyDrop<File> {
    ManuallyDrop::new(File::from_raw_fd(fd))
}

/// False at the end of the input.
fn read_message(input: &mut File, into: &mut Vec<u8>) -> io::Result<bool> {
    let mut head = [0; 4];
    match input.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
        other => other?,
    }
    into.resize(u32::from_le_bytes(head) as usize, 0);
    input.read_exact(into)?;
    Ok(true)
}
