//! How the process is told to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// SIGTERM: Kubernetes, systemd.
    Terminate,
    /// SIGINT: Ctrl-C. A second one means that the user does not want to wait for the drain.
    Interrupt,
}

/// Waits for SIGTERM and SIGINT, which no longer end the process by themselves.
#[derive(Debug)]
pub struct Terminated {
    terminate: Signal,
    interrupt: Signal,
}

/// Takes over SIGTERM and SIGINT. Errors where the system does not let us; needs a tokio runtime.
pub fn terminated() -> io::Result<Terminated> {
    Ok(Terminated {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

impl Terminated {
    /// The next signal; called again, the one after it. May be dropped and called anew without losing one.
    pub async fn next(&mut self) -> Termination {
        tokio::select! {
            _ = self.terminate.recv() => Termination::Terminate,
            _ = self.interrupt.recv() => Termination::Interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn send(signal: &str) {
        let me = std::process::id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &me]).status().unwrap().success());
    }

    #[tokio::test]
    async fn each_signal_is_told_and_a_second_interrupt_too() {
        let mut terminated = terminated().unwrap();
        for (name, expected) in [
            ("TERM", Termination::Terminate),
            ("INT", Termination::Interrupt),
            ("INT", Termination::Interrupt),
        ] {
            send(name);
            assert_eq!(terminated.next().await, expected);
        }
    }
}
