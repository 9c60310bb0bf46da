//! RFC 6455, frame by frame, and against tungstenite as an independent reading of it.

use bytes::Bytes;
use proptest::prelude::*;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{
        Role, WebSocket, WebSocketConfig,
        frame::{
            Frame, FrameHeader,
            coding::{Control, Data, OpCode},
        },
    },
};

use super::*;
use crate::gateway::websocket;

const LIMIT: usize = 1000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame; `first` is the first byte on the wire.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xffff => {
            out.push(0xfe);
            out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            out.push(0xff);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

fn text(text: &str) -> Incoming<'static> {
    Incoming::Text(text.to_owned().into())
}

fn ping(payload: &[u8]) -> Incoming<'static> {
    Incoming::Ping(payload.to_vec().into())
}

fn owned(event: Incoming<'_>) -> Incoming<'static> {
    match event {
        Incoming::Text(text) => Incoming::Text(text.into_owned().into()),
        Incoming::Ping(payload) => Incoming::Ping(payload.into_owned().into()),
        Incoming::Pong => Incoming::Pong,
        Incoming::Close { code } => Incoming::Close { code },
    }
}

/// All events of the pieces, up to the first violation or the client's close.
fn run(
    pieces: impl IntoIterator<Item = Vec<u8>>,
    limit: usize,
) -> (Vec<Incoming<'static>>, Option<Violation>, Decoder) {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for mut piece in pieces {
        let mut rest = &mut piece[..];
        while !rest.is_empty() {
            let given = rest.len();
            match decoder.decode(rest, limit, None) {
                Ok((used, event)) => {
                    assert!(event.is_some() || used == given, "no event and yet bytes are left");
                    let end = matches!(event, Some(Incoming::Close { .. }));
                    events.extend(event.map(owned));
                    if end {
                        return (events, None, decoder);
                    }
                    rest = &mut rest[used..];
                }
                Err(violation) => return (events, Some(violation), decoder),
            }
        }
    }
    (events, None, decoder)
}

/// The stream in one piece, then byte by byte: both must say the same.
fn read(bytes: &[u8]) -> (Vec<Incoming<'static>>, Option<Violation>) {
    let (events, violation, _) = run([bytes.to_vec()], LIMIT);
    let (again, same, _) = run(bytes.iter().map(|byte| vec![*byte]), LIMIT);
    assert_eq!((&events, &violation), (&again, &same), "split differs from whole: {bytes:?}");
    (events, violation)
}

#[test]
fn an_idle_decoder_is_one_pointer() {
    assert_eq!(size_of::<Decoder>(), size_of::<usize>());
}

#[test]
fn frames_become_events() {
    for (bytes, event) in [
        (frame(0x81, b"hello"), text("hello")),
        (frame(0x81, b""), text("")),
        (frame(0x81, "é".repeat(300).as_bytes()), text(&"é".repeat(300))),
        (frame(0x89, b""), ping(b"")),
        (frame(0x89, &[0xff; 125]), ping(&[0xff; 125])),
        (frame(0x8a, b"x"), Incoming::Pong),
        (frame(0x88, b""), Incoming::Close { code: None }),
        (frame(0x88, b"\x03\xe8bye"), Incoming::Close { code: Some(1000) }),
        ([frame(0x01, b"\xc3"), frame(0x00, b""), frame(0x80, b"\xa9")].concat(), text("é")),
    ] {
        assert_eq!(read(&bytes), (vec![event], None), "{bytes:?}");
    }
}

#[test]
fn a_whole_frame_is_not_copied_and_leaves_nothing_behind() {
    let mut bytes = frame(0x81, b"hello");
    let at = bytes[6..].as_ptr();
    let mut decoder = Decoder::default();
    let (used, Some(Incoming::Text(Cow::Borrowed(text)))) = decoder.decode(&mut bytes, LIMIT, None).unwrap()
    else {
        panic!("not borrowed");
    };
    assert_eq!((used, text, text.as_ptr()), (11, "hello", at));
    assert!(!decoder.is_partial());
}

#[test]
fn memory_is_held_only_while_something_is_incomplete() {
    let bytes = [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x80, b"b")].concat();
    let mut decoder = Decoder::default();
    for (index, byte) in bytes.iter().enumerate() {
        decoder.decode(&mut [*byte], LIMIT, None).unwrap();
        assert_eq!(decoder.is_partial(), index + 1 < bytes.len(), "byte {index}");
    }
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut head = frame(0x81, &[b'x'; 900]);
    head.truncate(8 + 10);
    let (_, _, decoder) = run([head], LIMIT);
    assert!(decoder.0.unwrap().message.capacity() < 64);
}

#[test]
fn control_frames_may_stand_within_a_message() {
    let bytes = [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x8a, b""), frame(0x80, b"b")].concat();
    assert_eq!(read(&bytes), (vec![ping(b"p"), Incoming::Pong, text("ab")], None));
}

#[test]
fn every_violation_has_its_code() {
    use CloseCode::{Binary, Protocol, TooBig, Utf8};
    let long =
        |first: u8, len: &[u8]| [&[first, if len.len() == 2 { 0xfe } else { 0xff }], len, &MASK].concat();
    for (bytes, code, about) in [
        (vec![0x81, 0x00], Protocol, "mask"),
        (vec![0x81, 0x05, b'h'], Protocol, "mask"),
        (frame(0xc1, b"x"), Protocol, "reserved bits"),
        (frame(0xa1, b"x"), Protocol, "reserved bits"),
        (frame(0x91, b"x"), Protocol, "reserved bits"),
        (frame(0x83, b""), Protocol, "reserved opcode"),
        (frame(0x87, b""), Protocol, "reserved opcode"),
        (frame(0x8b, b""), Protocol, "reserved opcode"),
        (frame(0x8f, b""), Protocol, "reserved opcode"),
        (frame(0x89, &[0; 126]), Protocol, "125"),
        (frame(0x88, &vec![3; 70_000]), Protocol, "125"),
        (frame(0x09, b""), Protocol, "fragmented"),
        (frame(0x08, b""), Protocol, "fragmented"),
        (frame(0x80, b"x"), Protocol, "continuation"),
        (frame(0x00, b"x"), Protocol, "continuation"),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), Protocol, "within"),
        ([frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")].concat(), Protocol, "continuation"),
        (long(0x81, &[0, 125]), Protocol, "shortest"),
        (long(0x81, &[0, 0, 0, 0, 0, 0, 0xff, 0xff]), Protocol, "shortest"),
        (long(0x81, &[0x80, 0, 0, 0, 0, 0, 0, 0]), Protocol, "63"),
        (frame(0x82, b"x"), Binary, "binary"),
        (frame(0x02, b"x"), Binary, "binary"),
        (frame(0x81, b"\xff"), Utf8, "utf-8"),
        (frame(0x81, b"\xed\xa0\x80"), Utf8, "utf-8"),
        ([frame(0x01, b"\xc3"), frame(0x80, b"x")].concat(), Utf8, "utf-8"),
        (frame(0x88, b"\x03\xe8\xff"), Utf8, "utf-8"),
        (frame(0x88, b"\x03"), Protocol, "one byte"),
        (long(0x81, &1001_u16.to_be_bytes()), TooBig, "messageBytes"),
        (long(0x81, &(u64::MAX >> 1).to_be_bytes()), TooBig, "messageBytes"),
        ([frame(0x01, &[b'a'; 600]), frame(0x80, &[b'b'; 401])].concat(), TooBig, "messageBytes"),
    ] {
        let (_, violation) = read(&bytes);
        let violation = violation.unwrap_or_else(|| panic!("no violation: {about} {bytes:?}"));
        assert_eq!(violation.code, code, "{violation} {bytes:?}");
        assert!(violation.reason.contains(about), "{violation} {about}");
        assert!(violation.reason.len() <= 123);
    }
}

#[test]
fn a_message_may_have_exactly_the_limit() {
    let bytes = [frame(0x01, &[b'a'; 600]), frame(0x80, &[b'b'; 400])].concat();
    assert_eq!(read(&bytes).1, None);
    assert_eq!(read(&frame(0x81, &[b'a'; LIMIT])).1, None);
}

#[test]
fn the_limit_is_judged_before_the_payload_comes() {
    let mut bytes = frame(0x81, &[b'a'; LIMIT + 1]);
    bytes.truncate(4);
    assert_eq!(read(&bytes).1.unwrap().code, CloseCode::TooBig);
}

#[test]
fn empty_fragments_cannot_come_for_ever() {
    let mut bytes = frame(0x01, b"");
    for _ in 1..MAX_FRAGMENTS {
        bytes.extend(frame(0x00, b""));
    }
    assert_eq!(read(&bytes), (vec![], None));
    bytes.extend(frame(0x80, b""));
    assert_eq!(read(&bytes).1.unwrap().code, CloseCode::TooBig);
}

#[test]
fn only_close_codes_that_may_be_sent_are_accepted() {
    for code in 0..=u16::MAX {
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let (events, violation, _) = run([frame(0x88, &code.to_be_bytes())], LIMIT);
        if valid {
            assert_eq!(events, [Incoming::Close { code: Some(code) }]);
        } else {
            assert_eq!(violation.map(|v| v.code), Some(CloseCode::Protocol), "{code}");
        }
    }
}

#[test]
fn the_codes_the_gateway_sends_may_be_sent() {
    for code in CloseCode::ALL {
        let (events, ..) = run([frame(0x88, &code.code().to_be_bytes())], LIMIT);
        assert_eq!(events.len(), 1, "{code}");
    }
}

/// What tungstenite's server reads from the same bytes, and whether it refuses what follows.
fn reference(bytes: &[u8]) -> (Vec<Incoming<'static>>, bool) {
    let config = WebSocketConfig::default().max_message_size(Some(LIMIT)).max_frame_size(Some(LIMIT));
    let stream = Duplex { input: std::io::Cursor::new(bytes.to_vec()) };
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, Some(config));
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => events.push(Incoming::Text(text.to_string().into())),
            Ok(Message::Ping(payload)) => events.push(ping(&payload)),
            Ok(Message::Pong(_)) => events.push(Incoming::Pong),
            Ok(Message::Close(close)) => {
                events.push(Incoming::Close { code: close.map(|close| close.code.into()) });
                return (events, false);
            }
            Err(tokio_tungstenite::tungstenite::Error::Io(_)) => return (events, false),
            Ok(_) | Err(_) => return (events, true),
        }
    }
}

/// Reads from memory, forgets what is written; the end of the input is "not now", not the end of the connection.
struct Duplex {
    input: std::io::Cursor<Vec<u8>>,
}

impl std::io::Read for Duplex {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.input.read(buffer)? {
            0 => Err(std::io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl std::io::Write for Duplex {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Mostly valid frames, as tungstenite encodes them, with a few that are not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        6 => Just(OpCode::Data(Data::Text)),
        6 => Just(OpCode::Data(Data::Continue)),
        1 => Just(OpCode::Data(Data::Binary)),
        3 => Just(OpCode::Control(Control::Ping)),
        2 => Just(OpCode::Control(Control::Pong)),
        1 => Just(OpCode::Control(Control::Close)),
    ];
    let payload = prop_oneof![
        8 => "\\PC{0,20}".prop_map(String::into_bytes),
        2 => (100_usize..400).prop_map(|len| vec![b'x'; len]),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    (opcode, prop::bool::weighted(0.7), payload, any::<[u8; 4]>(), prop::bool::weighted(0.02)).prop_map(
        |(opcode, is_final, payload, mask, rsv1)| {
            let control = matches!(opcode, OpCode::Control(_));
            let payload = match opcode {
                OpCode::Control(Control::Close) => b"\x03\xe8".to_vec(),
                // Tungstenite judges the UTF-8 of a fragment at once, we that of the message at its end.
                OpCode::Data(_) if !is_final => String::from_utf8_lossy(&payload).into_owned().into_bytes(),
                _ => payload,
            };
            let header = FrameHeader {
                is_final: is_final || control,
                rsv1,
                opcode,
                mask: Some(mask),
                ..FrameHeader::default()
            };
            let mut out = Vec::new();
            Frame::from_payload(header, Bytes::from(payload)).format(&mut out).unwrap();
            out
        },
    )
}

/// Cuts the bytes at these places.
fn cut(bytes: &[u8], mut cuts: Vec<usize>) -> Vec<Vec<u8>> {
    for cut in &mut cuts {
        *cut %= bytes.len() + 1;
    }
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|pair| bytes[pair[0]..pair[1]].to_vec()).collect()
}

proptest! {
    #[test]
    fn tungstenite_reads_the_same(frames in prop::collection::vec(any_frame(), 0..12)) {
        let bytes = frames.concat();
        let (events, violation, _) = run([bytes.clone()], LIMIT);
        // Binary is a matter of our protocol: tungstenite reports it as a message, the reference stops there.
        prop_assume!(violation.is_none_or(|violation| violation.code != CloseCode::Binary));
        let (expected, refused) = reference(&bytes);
        prop_assert_eq!(&events, &expected);
        prop_assert_eq!(violation.is_some(), refused, "{:?}", violation);
    }

    #[test]
    fn any_split_gives_the_same_events(
        frames in prop::collection::vec(any_frame(), 0..8), cuts in prop::collection::vec(any::<usize>(), 0..20)
    ) {
        let bytes = frames.concat();
        let (events, violation, whole) = run([bytes.clone()], LIMIT);
        let (again, same, split) = run(cut(&bytes, cuts), LIMIT);
        prop_assert_eq!(events, again);
        prop_assert_eq!(violation, same);
        prop_assert!(violation.is_some() || whole.is_partial() == split.is_partial());
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(any::<usize>(), 0..20)
    ) {
        let (events, violation, _) = run([bytes.clone()], LIMIT);
        let (again, same, decoder) = run(cut(&bytes, cuts), LIMIT);
        prop_assert_eq!((events, violation), (again, same));
        if let Some(partial) = decoder.0 {
            prop_assert!(partial.message.len() <= LIMIT && partial.control.len() <= 125);
        }
    }

    #[test]
    fn tungstenite_reads_what_is_encoded(body in "\\PC{0,40}", times in 1_usize..4000, payload: [u8; 7]) {
        let body = body.repeat(times);
        let mut out = websocket::text_frame(&body);
        websocket::text_with(&mut out, |out| out.extend_from_slice(body.as_bytes()));
        out.extend_from_slice(websocket::PING);
        websocket::pong(&mut out, &payload);
        websocket::close(&mut out, CloseCode::TooFast, &body);
        let stream = Duplex { input: std::io::Cursor::new(out) };
        let mut socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        prop_assert_eq!(socket.read().unwrap(), Message::text(body.clone()));
        prop_assert_eq!(socket.read().unwrap(), Message::text(body.clone()));
        prop_assert_eq!(socket.read().unwrap(), Message::Ping(Bytes::new()));
        prop_assert_eq!(socket.read().unwrap(), Message::Pong(payload.to_vec().into()));
        let Message::Close(Some(close)) = socket.read().unwrap() else { panic!("not a close") };
        prop_assert_eq!(u16::from(close.code), 4429);
        prop_assert!(body.starts_with(close.reason.as_str()));
        prop_assert!(close.reason.len() == body.len() || (120..=123).contains(&close.reason.len()));
    }
}

fn refused(bytes: &[u8], limit: usize, deflate: Option<&mut Deflate>) -> CloseCode {
    Decoder::default().decode(&mut bytes.to_vec(), limit, deflate).unwrap_err().code
}

#[test]
fn a_compressed_message_is_read_whole_or_in_pieces_and_only_where_it_was_agreed_on() {
    let mut packed = Vec::new();
    let mut deflate = Deflate::default();
    deflate.pack(&websocket::text_frame(&"abc".repeat(100)), 1, &mut packed);
    let payload = websocket::payload(&packed).unwrap();
    let (first, rest) = payload.split_at(3);
    let whole = frame(0xc1, payload);
    let pieces = [frame(0x41, first), frame(0x89, b"x"), frame(0x80, rest)].concat();
    for (bytes, step) in [(&whole, usize::MAX), (&whole, 1), (&pieces, usize::MAX), (&pieces, 1)] {
        let (mut decoder, mut events) = (Decoder::default(), Vec::new());
        for piece in bytes.clone().chunks_mut(step.min(bytes.len())) {
            let mut at = 0;
            while at < piece.len() {
                let (used, event) = decoder.decode(&mut piece[at..], LIMIT, Some(&mut deflate)).unwrap();
                events.extend(event.map(owned));
                at += used;
            }
        }
        assert_eq!(events.pop(), Some(text(&"abc".repeat(100))));
        assert!(!decoder.is_partial());
    }
    assert_eq!(refused(&whole, LIMIT, None), CloseCode::Protocol);
    assert_eq!(refused(&whole, 299, Some(&mut deflate)), CloseCode::TooBig);
    for wrong in [[frame(0x41, first), frame(0xc0, rest)].concat(), frame(0xc9, b""), frame(0xa1, b"x")] {
        assert_eq!(refused(&wrong, LIMIT, Some(&mut deflate)), CloseCode::Protocol, "{wrong:x?}");
    }
}
