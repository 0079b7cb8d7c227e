//! Tells the bridge which Cranelift it is built on: `cfg(clN)` holds from cranelift-codegen 0.N on.
//! The version is the one that Cargo.lock resolved, so that checkouts and patched crates work alike.

use std::{env, fs, path::Path};

/// Minor versions at which the API that the bridge uses changed.
const STEPS: [u32; 9] = [96, 100, 102, 113, 120, 125, 127, 130, 137];

fn main() {
    let lock = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("Cargo.lock");
    let text = fs::read_to_string(&lock).expect("Cargo.lock beside Cargo.toml");
    let version = locked(&text, "cranelift-codegen").expect("cranelift-codegen in Cargo.lock");
    let regalloc = locked(&text, "regalloc2").unwrap_or_default();
    let minor: u32 = version.split('.').nth(1).and_then(|n| n.parse().ok()).expect("a version like 0.135.8");
    for step in STEPS {
        println!("cargo:rustc-check-cfg=cfg(cl{step})");
        if minor >= step {
            println!("cargo:rustc-cfg=cl{step}");
        }
    }
    println!("cargo:rustc-check-cfg=cfg(feature, values(\"shim\"))");
    println!("cargo:rustc-env=BRIDGE_CRANELIFT={version}");
    println!("cargo:rustc-env=BRIDGE_REGALLOC={regalloc}");
    println!("cargo:rerun-if-changed={}", lock.display());
}

fn locked(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.next()?;
    Some(lines.next()?.strip_prefix("version = \"")?.trim_end_matches('"').to_string())
}
