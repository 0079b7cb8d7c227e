//! `cfg(raN)` holds from regalloc2 0.N on; the manifest bears the version that is stood in for, but for its last number.

const STEPS: [u32; 5] = [7, 10, 11, 12, 13];

fn main() {
    let minor: u32 = std::env::var("CARGO_PKG_VERSION_MINOR").unwrap().parse().unwrap();
    for step in STEPS {
        println!("cargo:rustc-check-cfg=cfg(ra{step})");
        if minor >= step {
            println!("cargo:rustc-cfg=ra{step}");
        }
    }
}
