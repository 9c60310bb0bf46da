//! Tokens that are honoured, and every other one.

use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

fn keys(newest: u8, previous: Option<u8>) -> SessionKeys {
    let key = |byte| vec![byte; 32];
    SessionKeys::new(key(newest), previous.map(key)).unwrap()
}

fn sessions(newest: u8, previous: Option<u8>) -> Sessions {
    Sessions::new(&keys(newest, previous), DAY)
}

#[test]
fn a_token_is_honoured_by_every_gateway_with_its_key_until_it_is_old() {
    let token = sessions(1, None).issue("ann", NOW, None);
    let other = sessions(1, None);
    for (now, honoured) in [
        (NOW, true),
        (NOW + DAY, true),
        (NOW + DAY + 1, false),
        // Our clock is behind that of the gateway that issued it.
        (NOW - 60, true),
        (NOW - 61, false),
        (0, false),
        (u64::MAX, false),
    ] {
        assert_eq!(other.verify(&token, "ann", now).is_ok(), honoured, "{now}");
    }
}

#[test]
fn a_token_is_its_users_alone_and_says_nothing_of_the_user() {
    let own = sessions(1, None);
    let token = own.issue("ann", NOW, None);
    for user in ["bob", "", "an", "anna", "anonymous"] {
        assert_eq!(own.verify(&token, user, NOW), Err(Expired), "{user}");
    }
    let long = own.issue(&"u".repeat(256), NOW, None);
    assert_eq!((token.len(), long.len()), (TOKEN_LENGTH, TOKEN_LENGTH));
    assert_ne!(own.issue("ann", NOW, None), token, "no two are alike");
}

#[test]
fn a_rotated_key_honours_the_tokens_of_the_one_before_for_as_long_as_that_is_kept() {
    let old = sessions(1, None).issue("ann", NOW, None);
    let rotated = sessions(2, Some(1));
    assert_eq!(rotated.verify(&old, "ann", NOW), Ok(None));
    let new = rotated.issue("ann", NOW, None);
    assert_eq!(sessions(2, None).verify(&new, "ann", NOW), Ok(None), "the newest key issues");
    // A gateway that has not yet been given the new key as its newest.
    assert_eq!(sessions(1, Some(2)).verify(&new, "ann", NOW), Ok(None));
    assert_eq!(sessions(2, None).verify(&old, "ann", NOW), Err(Expired));
}

#[test]
fn a_token_tells_what_the_positions_of_its_session_belong_to() {
    let (own, epoch) = (sessions(1, None), Some(Epoch::of_stream("PRICES", "today")));
    assert_eq!(own.verify(&own.issue("ann", NOW, epoch), "ann", NOW), Ok(epoch));
}

#[test]
fn what_is_no_token_is_refused() {
    let own = sessions(1, None);
    let token = own.issue("ann", NOW, None);
    for bad in [
        String::new(),
        "é".repeat(TOKEN_LENGTH / 2),
        token[..TOKEN_LENGTH - 4].into(),
        format!("{token}AAAA"),
        format!("{token}="),
        format!(" {}", &token[1..]),
        "A".repeat(TOKEN_LENGTH),
        "A".repeat(100_000),
    ] {
        assert_eq!(own.verify(&bad, "ann", NOW), Err(Expired), "{bad:.80}");
    }
}

#[test]
fn a_token_of_another_version_is_refused_though_its_code_holds() {
    let own = sessions(1, None);
    let mut token = BASE64URL.decode(own.issue("ann", NOW, None)).unwrap();
    token[0] = VERSION + 1;
    let code = hmac::sign(&own.newest, &signed(&token[..HEAD], "ann"));
    token[HEAD..].copy_from_slice(code.as_ref());
    assert_eq!(own.verify(&BASE64URL.encode(token), "ann", NOW), Err(Expired));
}

#[test]
fn a_key_that_could_be_guessed_is_refused_and_no_key_is_printed() {
    assert_eq!(SessionKeys::new(vec![1; 15], None), Err(KeyTooShort(15)));
    assert_eq!(SessionKeys::new(vec![1; 16], Some(Vec::new())), Err(KeyTooShort(0)));
    let keys = SessionKeys::new(vec![123; 16], Some(vec![124; 16])).unwrap();
    let printed = format!("{keys:?} {:?}", Sessions::new(&keys, DAY));
    assert!(!printed.contains("123") && !printed.contains("124"), "{printed}");
    assert_ne!(SessionKeys::random(), SessionKeys::random());
}

proptest! {
    #[test]
    fn a_token_of_which_any_bit_is_another_is_refused(
        user in "\\PC{1,40}", now in 0_u64..1 << 40, bit in 0..BYTES * 8, in_text in 0..TOKEN_LENGTH * 7
    ) {
        let own = sessions(1, Some(2));
        let token = own.issue(&user, now, None);
        prop_assert_eq!(own.verify(&token, &user, now), Ok(None));
        let mut bytes = BASE64URL.decode(&token).unwrap();
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(own.verify(&BASE64URL.encode(bytes), &user, now), Err(Expired));
        let mut text = token.into_bytes();
        text[in_text / 7] ^= 1 << (in_text % 7);
        prop_assert_eq!(own.verify(&String::from_utf8(text).unwrap(), &user, now), Err(Expired));
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", user in "\\PC*", now: u64) {
        prop_assert_eq!(sessions(1, None).verify(&text, &user, now), Err(Expired));
    }
}
