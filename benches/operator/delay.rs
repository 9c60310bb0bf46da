//! A way to the API server that takes longer: every byte arrives so much later, in both directions.

use std::{
    fs, io,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// Pieces of 16 KiB on their way in one direction of a connection; who sends more waits.
const PIECES: usize = 1024;

/// Writes the file that leads to the API server by a delay, as `kubeconfig` leads to it at once.
pub(crate) fn delayed(kubeconfig: &Path, delay: Duration) -> PathBuf {
    let text = fs::read_to_string(kubeconfig).unwrap();
    let (_, rest) = text.split_once("server: https://").expect("the address of the API server");
    let server: SocketAddr = rest.split_whitespace().next().unwrap().parse().expect("an address and a port");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap();
    // Ends with the process.
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(server) else { continue };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                pass_on(from, to, delay);
            }
        }
    });
    let file = kubeconfig.with_extension("delayed");
    fs::write(&file, text.replace(&server.to_string(), &own.to_string())).unwrap();
    file
}

fn pass_on(mut from: TcpStream, to: TcpStream, delay: Duration) {
    from.set_nodelay(true).unwrap();
    to.set_nodelay(true).unwrap();
    let (sender, pieces) = mpsc::sync_channel(PIECES);
    thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        let _ = write_when_due(&pieces, &to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn write_when_due(pieces: &Receiver<(Instant, Vec<u8>)>, mut to: &TcpStream) -> io::Result<()> {
    for (due, bytes) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        to.write_all(&bytes)?;
    }
    Ok(())
}
