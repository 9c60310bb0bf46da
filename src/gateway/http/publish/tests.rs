//! What is read from the headers of a request.

use axum::http::{HeaderName, HeaderValue};

use super::*;

fn headers(list: &[(&'static str, &[u8])]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in list {
        map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value).unwrap());
    }
    map
}

#[test]
fn the_idempotency_key_is_the_message_id_as_it_stands() {
    let key = |list: &[(&'static str, &[u8])]| idempotency_key(&headers(list));
    assert_eq!(key(&[]), Ok(None));
    for text in ["1", "\"quoted\"", "a b", "é", &"x".repeat(256)] {
        let found = key(&[(IDEMPOTENCY_KEY, text.as_bytes())]);
        assert_eq!(found.unwrap().as_deref(), Some(text));
    }
    let long = "x".repeat(257);
    for bad in [
        &[(IDEMPOTENCY_KEY, &b""[..])][..],
        &[(IDEMPOTENCY_KEY, long.as_bytes())],
        &[(IDEMPOTENCY_KEY, b"\xff")],
        &[(IDEMPOTENCY_KEY, b"1"), (IDEMPOTENCY_KEY, b"1")],
    ] {
        let refusal = key(bad).unwrap_err();
        assert_eq!(refusal.code, ErrorCode::BadRequest);
        assert!(refusal.message.contains("`Idempotency-Key`"), "{}", refusal.message);
    }
}

#[test]
fn a_batch_is_known_by_its_type() {
    for (kind, batch) in [
        ("application/x-ndjson", true),
        ("Application/X-NDJSON; charset=utf-8", true),
        ("application/ndjson", true),
        ("application/jsonl", true),
        ("application/x-jsonlines", true),
        ("application/json", false),
        ("text/plain", false),
        ("", false),
    ] {
        assert_eq!(is_batch(&headers(&[("content-type", kind.as_bytes())])), batch, "{kind}");
    }
    assert!(!is_batch(&HeaderMap::new()));
}

#[tokio::test]
async fn no_more_than_the_limit_is_read() {
    let endless =
        || Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(10))));
    assert_eq!(read(Body::from("12345"), 5).await, Ok(Some("12345".into())));
    assert_eq!(read(Body::from("123456"), 5).await, Ok(None));
    assert_eq!(read(endless(), 1000).await, Ok(None));
    let broken = Body::from_stream(futures_util::stream::once(async {
        Err::<String, _>(std::io::Error::other("cut"))
    }));
    assert_eq!(read(broken, 5).await.unwrap_err().code, ErrorCode::BadRequest);
}
