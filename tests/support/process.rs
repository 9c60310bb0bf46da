//! A child process whose output is kept and can be waited for; killed when dropped.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use super::{wait_for, wait_until};

/// A running program.
pub(crate) struct Process {
    child: Child,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
}

impl Process {
    /// Starts the program with its output kept.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = keep(child.stdout.take().unwrap());
        let stderr = keep(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives the program its whole standard input.
    pub(crate) fn input(&mut self, text: &str) {
        use std::io::Write as _;
        self.child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Everything it has written so far.
    pub(crate) fn output(&self) -> String {
        format!("{}\n{}", self.stdout(), self.stderr())
    }

    /// Waits until `find` finds something in the standard output, or says what there was instead.
    #[track_caller]
    pub(crate) fn find<T>(&mut self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        wait_for(what, || {
            let found = find(&self.stdout.lock().unwrap());
            if found.is_none()
                && let Ok(Some(status)) = self.child.try_wait()
            {
                panic!("{what}: ended with {status} before that; it said:\n{}", self.output());
            }
            found
        })
    }

    /// Sends a signal by name (`TERM`, `INT`, `STOP`, `CONT`).
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status();
        assert!(status.unwrap().success(), "could not send SIG{name} to {}", self.id());
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends by itself and all its output has been read.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let status = wait_for("the process ends", || self.child.try_wait().unwrap());
        // The readers drop their share of the text when the pipes are at their end.
        wait_until("its output ends", || {
            Arc::strong_count(&self.stdout) == 1 && Arc::strong_count(&self.stderr) == 1
        });
        status
    }

    /// Ends it at once (SIGKILL).
    pub(crate) fn kill(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- output of process {}:\n{}---", self.id(), self.output());
        }
    }
}

fn keep(pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let kept = Arc::new(Mutex::new(String::new()));
    let text = kept.clone();
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
    kept
}
