//! Against rustls's own client on real sockets.

use std::{
    net::{TcpListener, TcpStream as StdStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{
    ClientConfig, ClientConnection, ServerConfig, StreamOwned, pki_types::ServerName, sign::SingleCertAndKey,
};

use super::*;
use crate::{
    api::SecretRef,
    gateway::certificate::{self, fixture},
};

const DEADLINE: Duration = Duration::from_secs(20);

type Client = StreamOwned<ClientConnection, StdStream>;

/// A session past its handshake, its socket, and the client at the other end.
fn shaken() -> (ServerConnection, StdStream, Client) {
    let authority = fixture::Authority::new();
    let secrets = fixture::secret("t", &authority.pair(7));
    let key = certificate::pair(&secrets, &SecretRef { name: "t".into() }).unwrap();
    let server = ServerConfig::builder_with_provider(certificate::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    let client = ClientConfig::builder_with_provider(certificate::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    own.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut tcp, _) = listener.accept().unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut client = StreamOwned::new(client, own);
    let at_the_client = thread::spawn(move || {
        while client.conn.is_handshaking() {
            client.conn.complete_io(&mut client.sock).unwrap();
        }
        client
    });
    let mut session = ServerConnection::new(Arc::new(server)).unwrap();
    while session.is_handshaking() {
        session.complete_io(&mut tcp).unwrap();
    }
    (session, tcp, at_the_client.join().unwrap())
}

fn wrap(session: ServerConnection, tcp: StdStream) -> Tls {
    tcp.set_nonblocking(true).unwrap();
    Tls::new(session, TcpStream::from_std(tcp))
}

fn pair() -> (Tls, Client) {
    let (session, tcp, client) = shaken();
    (wrap(session, tcp), client)
}

/// Tries until there is something; the poller's part.
fn until<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < end, "nothing happens");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The next bytes, as many as there are.
fn some(tls: &mut Tls) -> Vec<u8> {
    let mut buffer = vec![0; 64 * 1024];
    until(|| match tls.read(&mut buffer) {
        Ok(count) => Some(buffer[..count].to_vec()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => panic!("{error}"),
    })
}

fn exactly(tls: &mut Tls, count: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < count {
        read.extend(some(tls));
    }
    read
}

fn failure(tls: &mut Tls) -> io::Error {
    until(|| tls.read(&mut [0; 100]).err().filter(|error| error.kind() != ErrorKind::WouldBlock))
}

fn nothing_more(tls: &mut Tls) {
    let read = tls.read(&mut [0; 100]).map_err(|error| error.kind());
    assert_eq!((read, tls.has_more()), (Err(ErrorKind::WouldBlock), false));
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from(n * n % 251).unwrap()).collect()
}

/// Sends in this many slices at a time until the socket takes no more; gives how many bytes it took.
fn fill(tls: &mut Tls, bytes: &[u8]) -> usize {
    let mut sent = 0;
    while sent < bytes.len() {
        let slices: Vec<_> = bytes[sent..].chunks(7777).take(MAX_SLICES).map(IoSlice::new).collect();
        let asked: usize = slices.iter().map(|slice| slice.len()).sum();
        let took = tls.send(&slices).unwrap();
        sent += took;
        if took < asked {
            break;
        }
    }
    sent
}

#[test]
fn what_is_sent_to_a_client_that_reads_arrives_whole_and_in_order() {
    let (mut tls, mut client) = pair();
    let all = bytes(3_000_000);
    let expected = all.clone();
    let reader = thread::spawn(move || {
        let mut read = vec![0; expected.len()];
        client.read_exact(&mut read).unwrap();
        assert!(read == expected);
    });
    let mut sent = 0;
    until(|| {
        sent += fill(&mut tls, &all[sent..]);
        (sent == all.len() && tls.flush().unwrap()).then_some(())
    });
    reader.join().unwrap();
}

#[test]
fn once_a_client_does_not_read_nothing_more_is_taken_and_what_was_taken_arrives() {
    let (mut tls, mut client) = pair();
    let all = bytes(20_000_000);
    let mut sent = fill(&mut tls, &all);
    assert!(sent < all.len());
    assert!(!tls.flush().unwrap(), "it is told to be called again");
    assert_eq!(tls.send(&[IoSlice::new(&all[sent..])]).unwrap(), 0);
    let mut read = vec![0; sent];
    let reader = thread::spawn(move || {
        client.read_exact(&mut read).unwrap();
        (client, read)
    });
    until(|| tls.flush().unwrap().then_some(()));
    let (mut client, read) = reader.join().unwrap();
    assert!(read == all[..sent]);
    let next = fill(&mut tls, &all[sent..sent + 100]);
    assert_eq!(next, 100);
    let mut read = [0; 100];
    client.read_exact(&mut read).unwrap();
    assert!(read == all[sent..sent + 100]);
    sent += next;
    assert!(sent < all.len());
}

#[test]
fn no_more_than_one_record_waits_for_the_system() {
    let (mut tls, _client) = pair();
    fill(&mut tls, &bytes(20_000_000));
    // What is encrypted and not sent, written where there is room.
    let mut unsent = Vec::new();
    while tls.session.wants_write() {
        tls.session.write_tls(&mut unsent).unwrap();
    }
    assert!((1..UNSENT + 256).contains(&unsent.len()), "{}", unsent.len());
}

#[test]
fn what_came_before_the_shard_had_the_socket_is_read() {
    let (mut session, mut tcp, mut client) = shaken();
    client.write_all(b"early").unwrap();
    while session.process_new_packets().unwrap().plaintext_bytes_to_read() == 0 {
        session.read_tls(&mut tcp).unwrap();
    }
    let mut tls = wrap(session, tcp);
    assert!(tls.has_more(), "the poller sees nothing");
    assert_eq!(some(&mut tls), b"early");
    nothing_more(&mut tls);
}

#[test]
fn a_record_of_which_a_part_came_before_is_read_whole() {
    let (mut session, mut tcp, mut client) = shaken();
    client.conn.writer().write_all(b"one two").unwrap();
    let mut record = Vec::new();
    client.conn.write_tls(&mut record).unwrap();
    client.sock.write_all(&record[..9]).unwrap();
    // Tickets of the server may be read by the client at any time; the record is what counts here.
    let mut taken = 0;
    while taken < 9 {
        taken += session.read_tls(&mut tcp).unwrap();
        session.process_new_packets().unwrap();
    }
    let mut tls = wrap(session, tcp);
    nothing_more(&mut tls);
    client.sock.write_all(&record[9..]).unwrap();
    assert_eq!(some(&mut tls), b"one two");
    nothing_more(&mut tls);
}

#[test]
fn more_than_a_buffer_is_read_to_the_end() {
    let (mut tls, mut client) = pair();
    let all = bytes(500_000);
    let expected = all.clone();
    let writer = thread::spawn(move || {
        client.write_all(&all).unwrap();
        client
    });
    assert!(exactly(&mut tls, expected.len()) == expected);
    let _client = writer.join().unwrap();
    nothing_more(&mut tls);
}

#[test]
fn the_end_that_a_client_tells_follows_its_last_bytes_and_is_answered() {
    let (mut tls, mut client) = pair();
    client.write_all(b"last").unwrap();
    client.conn.send_close_notify();
    client.flush().unwrap();
    assert_eq!(exactly(&mut tls, 4), b"last");
    assert_eq!(some(&mut tls), b"", "the end");
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0, "an end in good order");
}

#[test]
fn the_end_is_seen_without_the_poller_when_it_comes_with_the_last_bytes() {
    let (mut tls, mut client) = pair();
    client.conn.writer().write_all(b"last").unwrap();
    client.conn.send_close_notify();
    let mut both = Vec::new();
    while client.conn.wants_write() {
        client.conn.write_tls(&mut both).unwrap();
    }
    client.sock.write_all(&both).unwrap();
    assert_eq!(some(&mut tls), b"last");
    assert!(tls.has_more());
    assert_eq!(tls.read(&mut [0; 10]).unwrap(), 0);
}

#[test]
fn an_end_that_nobody_told_is_an_error() {
    let (mut tls, client) = pair();
    client.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(failure(&mut tls).kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn bytes_that_are_no_records_are_an_error_and_the_client_is_told() {
    let (mut tls, mut client) = pair();
    client.sock.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(failure(&mut tls).kind(), ErrorKind::InvalidData);
    let told = client.read(&mut [0; 10]).unwrap_err();
    assert!(told.to_string().contains("alert"), "{told}");
}

#[test]
fn the_end_is_told_after_everything_that_was_sent() {
    let (mut tls, mut client) = pair();
    let all = bytes(20_000_000);
    let sent = fill(&mut tls, &all);
    tls.finish();
    let reader = thread::spawn(move || {
        let mut read = Vec::new();
        client.read_to_end(&mut read).unwrap();
        read
    });
    until(|| tls.flush().unwrap().then_some(()));
    tls.finish();
    assert!(reader.join().unwrap() == all[..sent]);
}

#[test]
fn new_keys_change_nothing_for_either_side() {
    let (mut tls, mut client) = pair();
    for round in 0..3 {
        client.conn.refresh_traffic_keys().unwrap();
        client.write_all(&[round; 10]).unwrap();
        assert_eq!(exactly(&mut tls, 10), [round; 10]);
        assert_eq!(tls.send(&[IoSlice::new(&[round; 20])]).unwrap(), 20);
        let mut read = [0; 20];
        client.read_exact(&mut read).unwrap();
        assert_eq!(read, [round; 20]);
    }
}
