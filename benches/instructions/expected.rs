//! The figures that were counted last, and how far others may be from them.

use std::{env, fs, process::Command};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions/expected.txt");
/// In percent. Hash maps have another seed in each run.
const TOLERANCE: u64 = 3;

/// Compares, and prints both; `true` if all are as expected, or were counted with another compiler.
pub(crate) fn judge(counted: &[(&str, u64)]) -> bool {
    let text = fs::read_to_string(FILE).expect("expected.txt");
    let (of, compiler) = (text.lines().next().unwrap_or_default(), compiler());
    let mut good = true;
    for (name, count) in counted {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let Some(expected) = line else {
            println!(
                "{name:<24} {count:>8} instructions, and none expected: write the file again (-- --write)"
            );
            good = false;
            continue;
        };
        let verdict = if count * 100 > expected * (100 + TOLERANCE) {
            "MORE than before: find out why"
        } else if count * 100 < expected * (100 - TOLERANCE) {
            "less than before: write it down (-- --write)"
        } else {
            "as before"
        };
        good &= verdict == "as before";
        println!("{name:<24} {count:>8} instructions, {expected} expected: {verdict}");
    }
    if of != compiler {
        println!("not judged: counted with {compiler}, expected of {of}");
    }
    good || of != compiler
}

/// Writes them down.
pub(crate) fn write(counted: &[(&str, u64)]) {
    let lines = counted.iter().map(|(name, count)| format!("{name:<24} {count:>8}\n"));
    fs::write(FILE, format!("{}\n{}", compiler(), lines.collect::<String>())).expect("expected.txt");
}

fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().expect("rustc");
    format!("{}, {}", String::from_utf8_lossy(&version.stdout).trim(), env::consts::ARCH)
}
