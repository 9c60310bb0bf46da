//! Every reason to refuse a token.

use proptest::prelude::*;
use ring::hmac;

use super::{signer::token_of, *};

#[test]
fn claims_must_hold() {
    let long = "u".repeat(MAX_USER_BYTES + 1);
    for (changes, why) in [
        (json!({"iss": null}), AuthError::NoIssuer),
        (json!({"iss": ["home"]}), AuthError::NoIssuer),
        (json!({"iss": "elsewhere"}), AuthError::UnknownIssuer),
        (json!({"iss": "Home"}), AuthError::UnknownIssuer),
        (json!({"exp": null}), AuthError::NoExpiry),
        (json!({"exp": NOW}), AuthError::Expired),
        (json!({"exp": NOW - 1}), AuthError::Expired),
        (json!({"exp": 0}), AuthError::Expired),
        (json!({"exp": -1}), AuthError::Time("exp")),
        (json!({"exp": "2100-01-01"}), AuthError::Time("exp")),
        (json!({"exp": 1e300}), AuthError::Time("exp")),
        (json!({"nbf": NOW + 31}), AuthError::NotYetValid),
        (json!({"nbf": u64::MAX}), AuthError::NotYetValid),
        (json!({"nbf": true}), AuthError::Time("nbf")),
        (json!({"aud": null}), AuthError::Audience),
        (json!({"aud": "other"}), AuthError::Audience),
        (json!({"aud": []}), AuthError::Audience),
        (json!({"aud": ["other", 1]}), AuthError::Audience),
        (json!({"aud": {"market": true}}), AuthError::Audience),
        (json!({"sub": null}), AuthError::NoUser),
        (json!({"sub": ""}), AuthError::NoUser),
        (json!({"sub": 7}), AuthError::NoUser),
        (json!({"sub": long}), AuthError::NoUser),
        (json!({"sub": "anonymous"}), AuthError::Anonymous),
    ] {
        assert_eq!(refusal(&shared_secret(), &signed(&changes)), Some(why), "{changes}");
    }
}

#[test]
fn claims_at_the_edge_still_hold() {
    let longest = "u".repeat(MAX_USER_BYTES);
    for changes in [
        json!({"exp": NOW + 1}),
        json!({"exp": 1_700_000_001.5}),
        json!({"exp": u64::MAX}),
        json!({"nbf": NOW + 30}),
        json!({"nbf": NOW}),
        json!({"aud": ["other", "market"]}),
        json!({"sub": longest}),
        json!({"sub": "Anonymous"}),
    ] {
        assert_eq!(refusal(&shared_secret(), &signed(&changes)), None, "{changes}");
    }
}

#[test]
fn an_issuer_without_audiences_does_not_look_at_aud() {
    let entry = json!({"issuer": "home", "secretRef": {"name": "keys", "key": "key"}});
    let access = Access::new(&spec(&json!({"jwt": [entry]})), &secrets(SECRET)).unwrap();
    assert_eq!(refusal(&access, &signed(&json!({"aud": null}))), None);
}

#[test]
fn the_user_claim_is_the_one_that_is_configured() {
    let entry = json!({
        "issuer": "home", "userClaim": "email", "secretRef": {"name": "keys", "key": "key"},
    });
    let access = Access::new(&spec(&json!({"jwt": [entry]})), &secrets(SECRET)).unwrap();
    assert_eq!(refusal(&access, &signed(&json!({}))), Some(AuthError::NoUser));
    let token = signed(&json!({"email": "ann@example.com"}));
    assert_eq!(&*access.authenticate(&token, NOW).unwrap().user, "ann@example.com");
}

#[test]
fn the_header_must_hold() {
    for (header, why) in [
        (json!({"alg": "none"}), AuthError::Algorithm),
        (json!({"alg": "None"}), AuthError::Algorithm),
        (json!({"alg": ""}), AuthError::Algorithm),
        (json!({"alg": null}), AuthError::Algorithm),
        (json!({"alg": ["HS256"]}), AuthError::Algorithm),
        (json!({"alg": "ES512"}), AuthError::Algorithm),
        (json!({"alg": "HS512"}), AuthError::Algorithm),
        (json!({"alg": "RS256"}), AuthError::Algorithm),
        (json!({}), AuthError::Malformed),
        (json!([]), AuthError::Malformed),
        (json!({"alg": "HS256", "kid": 1}), AuthError::Malformed),
        (json!({"alg": "HS256", "crit": ["b64"], "b64": false}), AuthError::Critical),
    ] {
        let token = token(&Signer::secret(), &header, &claims(&json!({})));
        assert_eq!(refusal(&shared_secret(), &token), Some(why), "{header}");
    }
}

#[test]
fn a_token_that_is_cut_stretched_or_doubled_is_malformed() {
    let good = signed(&json!({}));
    let parts: Vec<_> = good.split('.').collect();
    let (header, body, signature) = (parts[0], parts[1], parts[2]);
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        header.into(),
        format!("{header}.{body}"),
        format!("{header}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{header}.{body}.{signature}.{signature}"),
        format!("{good}="),
        format!("{good} "),
        format!("Bearer {good}"),
        format!("{header}.{body}.{}", signature.replace(['-', '_'], "+") + "+"),
        token_of(&Signer::secret(), r#"{"alg":"HS256","alg":"HS256"}"#, &claims(&json!({})).to_string()),
        token_of(&Signer::secret(), r#"{"alg":"HS256"}"#, r#"{"iss":"home","iss":"home"}"#),
        token_of(&Signer::secret(), r#"{"alg":"HS256"}"#, "ann"),
        token_of(&Signer::secret(), r#"{"alg":"HS256"}"#, "\"ann\""),
        token_of(&Signer::secret(), r#"{"alg":"HS256"}"#, &"[".repeat(4000)),
    ] {
        assert_eq!(refusal(&shared_secret(), &bad), Some(AuthError::Malformed), "{bad}");
    }
}

#[test]
fn a_token_has_at_most_8_kibibytes() {
    // The padding claim makes the token as long as is allowed to the byte, then one base64 group longer.
    let length = |padding: usize| signed(&json!({"pad": "p".repeat(padding)}));
    let padding =
        (0..MAX_TOKEN_BYTES).rev().find(|padding| length(*padding).len() <= MAX_TOKEN_BYTES).unwrap();
    assert_eq!(refusal(&shared_secret(), &length(padding)), None);
    assert_eq!(refusal(&shared_secret(), &length(padding + 1)), Some(AuthError::TooLong));
}

#[test]
fn a_signature_must_be_the_issuers() {
    let header = json!({"alg": "HS256"});
    let forged = token(&Signer::hmac(hmac::HMAC_SHA256, b"another secret"), &header, &claims(&json!({})));
    assert_eq!(refusal(&shared_secret(), &forged), Some(AuthError::Signature));
    let good = signed(&json!({}));
    let unsigned = &good[..=good.rfind('.').unwrap()];
    assert_eq!(refusal(&shared_secret(), unsigned), Some(AuthError::Signature));
    let truncated = token_of(&Signer::secret(), &header.to_string(), &claims(&json!({})).to_string());
    assert_eq!(refusal(&shared_secret(), &truncated[..truncated.len() - 3]), Some(AuthError::Signature));
}

#[test]
fn claims_are_not_judged_before_the_signature() {
    let forger = Signer::hmac(hmac::HMAC_SHA256, b"another secret");
    let expired = token(&forger, &json!({"alg": "HS256"}), &claims(&json!({"exp": 1})));
    assert_eq!(refusal(&shared_secret(), &expired), Some(AuthError::Signature));
}

#[test]
fn an_issuer_cannot_sign_for_another() {
    let entry = |issuer: &str| json!({"issuer": issuer, "secretRef": {"name": "keys", "key": issuer}});
    let mut secrets = Secrets::default();
    secrets.insert("keys", "home", SECRET.into());
    secrets.insert("keys", "away", b"the secret of the other issuer, 32 bytes".to_vec());
    let access = Access::new(&spec(&json!({"jwt": [entry("home"), entry("away")]})), &secrets).unwrap();
    assert_eq!(refusal(&access, &signed(&json!({}))), None);
    assert_eq!(refusal(&access, &signed(&json!({"iss": "away"}))), Some(AuthError::Signature));
    assert_eq!(refusal(&access, &signed(&json!({"iss": "third"}))), Some(AuthError::UnknownIssuer));
}

#[test]
fn a_refusal_never_repeats_the_token() {
    for token in
        ["hunter2", "a.hunter2.b", &signed(&json!({"iss": "hunter2"})), &signed(&json!({"exp": "hunter2"}))]
    {
        let told = refusal(&shared_secret(), token).unwrap().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

proptest! {
    #[test]
    fn no_text_authenticates(text in ".{0,200}", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}") {
        let access = shared_secret();
        prop_assert!(refusal(&access, &text).is_some());
        prop_assert!(refusal(&access, &parts).is_some());
    }

    #[test]
    fn no_unsigned_json_authenticates(header in "\\{[\"a-z:,0-9A-Z{}\\[\\]]{0,60}\\}", body in "\\{[\"a-z:,0-9{}\\[\\]]{0,60}\\}") {
        let forger = Signer::hmac(hmac::HMAC_SHA256, b"another secret");
        prop_assert!(refusal(&shared_secret(), &token_of(&forger, &header, &body)).is_some());
    }

    #[test]
    fn a_token_changed_in_one_place_does_not_authenticate(at in any::<prop::sample::Index>(), by in "[A-Za-z0-9_.=-]") {
        let good = signed(&json!({}));
        let at = at.index(good.len());
        let mut changed = good.clone();
        changed.replace_range(at..=at, &by);
        prop_assert_eq!(refusal(&shared_secret(), &changed).is_none(), changed == good);
    }
}
