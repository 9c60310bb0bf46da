//! CPU time and memory of a process on this machine, as Linux tells them below `/proc`.

use std::{fs, io, time::Duration};

/// Of a process or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Cpu {
    pub(super) ran: Duration,
    /// It could have run and waited for a core.
    pub(super) waited: Duration,
}

/// Of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Memory {
    /// Bytes in memory.
    pub(super) resident: u64,
    /// Those of them that it has written to itself: no files.
    pub(super) own: u64,
}

/// A process at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Usage {
    pub(super) cpu: Cpu,
    pub(super) memory: Memory,
}

impl Cpu {
    /// What was used since `before`.
    pub(super) fn since(self, before: Self) -> Self {
        Self { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// What the process has used so far, over all its threads. Threads that have ended are not in it; a gateway's do not.
pub(super) fn of_process(process: u32) -> io::Result<Usage> {
    let mut cpu = Cpu::default();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between the two.
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        let more = schedstat(&text).unwrap_or_default();
        cpu.ran += more.ran;
        cpu.waited += more.waited;
    }
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let memory = memory(&status).ok_or_else(|| io::Error::other("no memory is told"))?;
    Ok(Usage { cpu, memory })
}

/// The number of the thread that asks, where there is `/proc`.
pub(super) fn own_thread() -> Option<u32> {
    fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()
}

/// What a thread of this process has used so far; `None` where nobody tells, or it has ended.
pub(super) fn of_thread(thread: u32) -> Option<Cpu> {
    schedstat(&fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?)
}

/// Nanoseconds run, nanoseconds waited, and a count.
fn schedstat(text: &str) -> Option<Cpu> {
    let mut nanos = text.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
    Some(Cpu { ran: nanos.next()?.ok()?, waited: nanos.next()?.ok()? })
}

fn memory(status: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
    };
    Some(Memory { resident: bytes("VmRSS:")?, own: bytes("RssAnon:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read() {
        let cpu = Cpu { ran: Duration::from_nanos(12_345), waited: Duration::from_nanos(678) };
        assert_eq!(schedstat("12345 678 9\n"), Some(cpu));
        assert_eq!(schedstat("0 0 0\n"), Some(Cpu::default()));
        for text in ["", "12", "a b c"] {
            assert_eq!(schedstat(text), None, "{text}");
        }
        let status = "Name:\tgateway\nVmPeak:\t 9 kB\nVmRSS:\t    3000 kB\nRssAnon:\t    1000 kB\nRssFile:\t 2000 kB\n";
        assert_eq!(memory(status), Some(Memory { resident: 3_072_000, own: 1_024_000 }));
        assert_eq!(memory("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn a_span_is_what_came_since() {
        let cpu = |ran, waited| Cpu { ran: Duration::from_secs(ran), waited: Duration::from_secs(waited) };
        assert_eq!(cpu(5, 2).since(cpu(3, 1)), cpu(2, 1));
        assert_eq!(cpu(1, 0).since(cpu(3, 1)), Cpu::default());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_something_and_one_that_is_not_there_is_an_error() {
        let usage = of_process(std::process::id()).unwrap();
        assert!(usage.memory.own > 0 && usage.memory.resident >= usage.memory.own, "{usage:?}");
        assert!(of_thread(own_thread().unwrap()).is_some());
        assert!(of_process(u32::MAX).is_err());
        assert_eq!(of_thread(u32::MAX), None);
    }
}
