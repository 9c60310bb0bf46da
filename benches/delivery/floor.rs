//! The least a delivery can cost: a loop that sends ready bytes to every socket.

use std::{
    env,
    io::{BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::ExitCode,
};

use crate::{
    placing::{SERVER_CORE, pinned},
    support::Process,
};

/// The floor, running on the server's core.
pub(crate) struct Floor {
    /// Its process.
    pub(crate) process: Process,
    /// Where subscribers connect.
    pub(crate) address: SocketAddr,
    control: TcpStream,
}

impl Floor {
    /// Starts it for so many subscribers, each of which is to be sent this frame.
    pub(crate) fn start(frame: &[u8], subscribers: usize) -> Self {
        let mut command = pinned(SERVER_CORE, env::current_exe().unwrap());
        let mut process = Process::spawn(command.arg("--floor"));
        let address: SocketAddr =
            process.find("the floor prints its address", |text| text.lines().next()?.parse().ok());
        let mut control = TcpStream::connect(address).unwrap();
        control.set_nodelay(true).unwrap();
        for number in [frame.len(), subscribers] {
            control.write_all(&u32::try_from(number).unwrap().to_be_bytes()).unwrap();
        }
        control.write_all(frame).unwrap();
        Self { process, address, control }
    }

    /// Waits until all subscribers are accepted.
    pub(crate) fn ready(&mut self) {
        self.control.read_exact(&mut [0]).unwrap();
    }

    /// Has this many frames sent to everybody, each subscriber's in one `send`.
    pub(crate) fn send(&mut self, frames: u8) {
        self.control.write_all(&[frames]).unwrap();
    }

    /// Has one frame sent to each of so many subscribers, going on behind the one that had the last.
    pub(crate) fn send_in_turn(&mut self, subscribers: usize) {
        self.control.write_all(&vec![0; subscribers]).unwrap();
    }
}

/// What the other process does.
pub(crate) fn serve() -> ExitCode {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let (mut control, _) = listener.accept().unwrap();
    let (length, subscribers) = (number(&mut control), number(&mut control));
    let mut frame = vec![0; length];
    control.read_exact(&mut frame).unwrap();
    let frames = frame.repeat(usize::from(u8::MAX));
    let mut sockets: Vec<TcpStream> = (0..subscribers).map(|_| listener.accept().unwrap().0).collect();
    for socket in &sockets {
        socket.set_nodelay(true).unwrap();
    }
    control.write_all(&[1]).unwrap();
    let (mut orders, mut order, mut turn) = (BufReader::new(control), [0], 0);
    while orders.read_exact(&mut order).is_ok() {
        let bytes = &frames[..length * usize::from(order[0]).max(1)];
        let to = if order[0] == 0 { turn..turn + 1 } else { 0..subscribers };
        turn = to.end % subscribers;
        for socket in &mut sockets[to] {
            if socket.write_all(bytes).is_err() {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn number(control: &mut TcpStream) -> usize {
    let mut bytes = [0; 4];
    control.read_exact(&mut bytes).unwrap();
    u32::from_be_bytes(bytes) as usize
}
