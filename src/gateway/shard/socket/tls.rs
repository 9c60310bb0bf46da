//! A client's socket under TLS: rustls keeps the state and does no I/O, so that the shard's poller drives it like any
//! other socket.
//!
//! What rustls has encrypted it must send, and nobody can take back: [`Tls::send`] encrypts a record's worth at a time
//! and only once the system has taken everything before. So at most one record waits here, whatever is asked for; the
//! rest stays in the log, as it does without TLS.

#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::Shutdown,
};

use mio::net::TcpStream;
use rustls::ServerConnection;

use crate::gateway::log::MAX_SLICES;

/// Most bytes encrypted before the system takes them: one whole record (RFC 8446 § 5.1).
pub const UNSENT: usize = 16 * 1024;
/// Most reads from the system for one read of a caller, of 4 KiB each. Records may be empty, so that bytes alone would
/// bound nothing.
const READS: usize = 64;

/// TLS over TCP, past its handshake.
#[derive(Debug)]
pub struct Tls {
    session: ServerConnection,
    tcp: TcpStream,
    /// There may be something to read that the poller does not tell of, because it has left the kernel.
    more: bool,
}

impl Tls {
    /// Goes on with a session; what its handshake brought beside is kept in it and read first.
    pub(super) fn new(mut session: ServerConnection, tcp: TcpStream) -> Self {
        session.set_buffer_limit(Some(UNSENT));
        Self { session, tcp, more: true }
    }

    pub(super) fn tcp_mut(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// Whether to read again, though the poller says nothing.
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// Sends what is encrypted; `true` if the system has taken all of it.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.tcp) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Encrypts and sends. Gives how many bytes were encrypted: those are as good as sent.
    pub(super) fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut room = [IoSlice::new(&[]); MAX_SLICES];
        let count = slices.len().min(MAX_SLICES);
        room[..count].copy_from_slice(&slices[..count]);
        let mut rest = &mut room[..count];
        let mut sent = 0;
        while self.flush()? {
            let encrypted = self.session.writer().write_vectored(rest)?;
            if encrypted == 0 {
                break;
            }
            sent += encrypted;
            IoSlice::advance_slices(&mut rest, encrypted);
        }
        Ok(sent)
    }

    /// Says that nothing more will be written, once everything before is sent; to be called again until it is.
    pub(super) fn finish(&mut self) {
        // Rustls says it once, however often it is told to.
        self.session.send_close_notify();
        if matches!(self.flush(), Ok(true)) {
            // An error means that the other side is gone already.
            let _ = self.tcp.shutdown(Shutdown::Write);
        }
    }

    /// Fills the buffer as far as there is something to read now. Fewer bytes than asked for, and no
    /// [`has_more`](Self::has_more): there is nothing else.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        self.more = true;
        for _ in 0..READS {
            match self.session.reader().read(&mut buffer[filled..]) {
                Ok(0) if filled == 0 => {
                    // It has said that it ends, and waits for the same (RFC 8446 § 6.1).
                    self.finish();
                    return Ok(0);
                }
                // Ended as well, or full.
                Ok(0) => return Ok(filled),
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => match self.take() {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.more = false;
                        return if filled > 0 { Ok(filled) } else { Err(error) };
                    }
                    // What came before it is handed over first.
                    Err(_) if filled > 0 => return Ok(filled),
                    Err(error) => return Err(error),
                },
                Err(_) if filled > 0 => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
        if filled > 0 { Ok(filled) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    /// Takes bytes from the system and decrypts them. Whatever rustls has to say about them (an alert, new keys) goes
    /// as soon as it can.
    fn take(&mut self) -> io::Result<()> {
        loop {
            match self.session.read_tls(&mut self.tcp) {
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let processed = self.session.process_new_packets();
        // If that fails, the next send will tell; what was read is to be read first.
        let _ = self.flush();
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(())
    }
}
