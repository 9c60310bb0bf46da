use std::fs;

use clap::Parser;

use super::*;

const NOW: u64 = 1_700_000_000;
/// Long enough for every HMAC.
const SECRET: &str = "a secret of twice 32 bytes for testing and a secret of twice 32 bytes";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

/// A gateway's file: issuers `home` and `shop` with secrets, `keys` with a public key, and `lone` by itself.
const ISSUERS: &str = r"
      - {issuer: home, audiences: [market, stock], algorithms: [HS384], userClaim: email, secretRef: {name: home, key: key}}
      - {issuer: shop, secretRef: {name: shop, key: key}}
      - {issuer: keys, publicKeySecretRef: {name: keys, key: key}}";
const LONE: &str = "[{issuer: lone, audiences: [market], secretRef: {name: home, key: key}}]";

fn resource(jwt: &str) -> String {
    let pem = include_str!("../../gateway/access/fixtures/rsa.pem");
    format!(
        "apiVersion: topicgateway.io/v1alpha1\nkind: TopicGateway\nmetadata: {{name: m}}\n\
         spec:\n  backbone: {{memory: {{}}}}\n  authentication:\n    anonymous: Allow\n    jwt: {jwt}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: home}}\nstringData: {{key: {SECRET}}}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: shop}}\nstringData: {{key: another-secret-of-more-than-32-bytes}}\n\
         ---\napiVersion: v1\nkind: Secret\nmetadata: {{name: keys}}\nstringData: {{key: {pem:?}}}\n"
    )
}

/// Runs a command line on a directory with files for it; standard output and the note, or the error.
fn run_on(
    directory: &tempfile::TempDir,
    line: &[&str],
    stdin: &str,
) -> (String, Result<Option<String>, Failure>) {
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("secret"), SECRET).unwrap();
    fs::write(path("short"), "short").unwrap();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("gateway.yaml"), resource(ISSUERS)).unwrap();
    fs::write(path("lone.yaml"), resource(LONE)).unwrap();
    fs::write(path("none.yaml"), resource("[]")).unwrap();
    fs::write(path("rsa.pem"), include_str!("../../gateway/access/fixtures/rsa.pem")).unwrap();
    fs::write(path("rsa.key"), pem(include_bytes!("../../gateway/access/fixtures/rsa.pk8"))).unwrap();
    fs::write(path("ed25519.key"), pem(include_bytes!("../../gateway/access/fixtures/ed25519.pk8"))).unwrap();
    fs::write(path("ed25519.pem"), include_str!("../../gateway/access/fixtures/ed25519.pem")).unwrap();
    let line = line.iter().map(|word| word.strip_prefix('@').map_or_else(|| (*word).into(), path));
    let args = Line::try_parse_from(["token".to_owned()].into_iter().chain(line)).unwrap().args;
    let mut stdout = Vec::new();
    let result = answer(args, NOW, stdin.as_bytes(), &mut stdout);
    (String::from_utf8(stdout).unwrap(), result)
}

fn command(line: &[&str], stdin: &str) -> (String, Result<Option<String>, Failure>) {
    run_on(&tempfile::tempdir().unwrap(), line, stdin)
}

fn mint(more: &[&str]) -> String {
    let line = [&["mint", "--secret-file", "@secret", "--issuer", "home", "--user", "ann"], more].concat();
    let (token, note) = command(&line, "");
    assert_eq!(note, Ok(None));
    token
}

fn check(more: &[&str], token: &str) -> (String, Result<Option<String>, Failure>) {
    command(&[&["check", "--secret-file", "@secret", "--issuer", "home"], more].concat(), token)
}

/// Why it could not be done.
#[track_caller]
fn complaint(result: Result<Option<String>, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.code, 64, "{failure}");
    failure.message
}

/// What a gateway says to the token.
#[track_caller]
fn refusal(result: Result<Option<String>, Failure>) -> String {
    let failure = result.unwrap_err();
    assert_eq!(failure.code, 77, "{failure}");
    failure.message
}

/// The header of a token, whoever signed it.
fn header(token: &str) -> serde_json::Value {
    let engine = base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let text = base64::Engine::decode(&engine, token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// Private keys, as openssl writes them.
fn pem(pkcs8: &[u8]) -> String {
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pkcs8);
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

#[test]
fn a_minted_token_is_one_line_and_says_what_was_asked_for() {
    let token = mint(&[
        "--audience",
        "market",
        "--ttl",
        "10m",
        "--claim",
        "tier=gold",
        "--claim",
        "roles=[\"a\"]",
        "--subscribe",
        "prices.>",
        "--publish",
        "orders.*",
        "--algorithm",
        "HS512",
    ]);
    assert_eq!(token.lines().count(), 1);
    let (claims, verdict) = check(&["--audience", "market"], &token);
    assert_eq!(verdict, Ok(Some("valid: user \"ann\", for another 600 s".into())));
    let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
    assert_eq!(
        claims,
        serde_json::json!({
            "iss": "home", "aud": "market", "sub": "ann", "iat": NOW, "exp": NOW + 600, "tier": "gold", "roles": ["a"],
            "topics": {"subscribe": ["prices.>"], "publish": ["orders.*"]},
        })
    );
}

#[test]
fn a_minted_token_ends_in_an_hour_and_may_have_several_audiences_and_another_user_claim() {
    let token = mint(&["--audience", "a", "--audience", "b", "--user-claim", "email"]);
    let (claims, verdict) = check(&["--audience", "b", "--user-claim", "email"], &token);
    assert_eq!(verdict, Ok(Some("valid: user \"ann\", for another 3600 s".into())));
    assert!(claims.contains("\"email\": \"ann\""), "{claims}");
}

#[test]
fn a_token_may_be_an_argument() {
    let token = mint(&[]);
    assert!(check(&[token.trim()], "").1.is_ok());
}

#[test]
fn a_refused_token_is_shown_and_the_reason_told() {
    let (claims, verdict) = check(&["--audience", "market"], &mint(&[]));
    assert!(claims.contains("\"sub\": \"ann\""), "{claims}");
    assert_eq!(
        refusal(verdict),
        "a gateway refuses this token: the token is not meant for this gateway (aud)"
    );
    let (claims, verdict) = check(&[], "no token\n");
    assert_eq!(claims, "");
    assert!(refusal(verdict).contains("malformed"));
}

#[test]
fn what_no_gateway_would_accept_is_not_minted() {
    for (more, why) in [
        (&["--user", "anonymous"][..], "\"anonymous\""),
        (&["--user", ""], "names no user"),
        (&["--user", "ann", "--algorithm", "RS256"], "no key that fits"),
        (&["--user", "ann", "--claim", "exp=1"], "--claim exp"),
        (&["--user", "ann", "--claim", "a=1", "--claim", "a=2"], "--claim a"),
    ] {
        let line = [&["mint", "--secret-file", "@secret", "--issuer", "home"], more].concat();
        let (token, result) = command(&line, "");
        let told = complaint(result);
        assert!(token.is_empty() && told.contains(why), "{told}");
    }
}

#[test]
fn a_token_that_is_not_valid_yet_can_be_minted() {
    let token = mint(&["--claim", "nbf=1800000000"]);
    assert!(refusal(check(&[], &token).1).contains("not valid yet"));
}

#[test]
fn an_unfit_secret_is_refused() {
    let with = |key: &[&str]| command(&[&["mint", "--issuer", "home", "--user", "ann"], key].concat(), "").1;
    for (key, why) in [
        (["--secret-file", "@empty"], "is empty"),
        (["--secret-file", "@short"], "5 bytes, HS256 needs 32 or more"),
        (["--secret-file", "@rsa.pem"], "PEM"),
        (["--secret-file", "@nowhere"], "cannot read"),
        (["--secret-env", "TOPIC_GATEWAY_TEST_NOT_SET"], "TOPIC_GATEWAY_TEST_NOT_SET is not set"),
        (["--private-key-file", "@rsa.pem"], "rsa.pem (--private-key-file) is a public key"),
        (["--private-key-file", "@secret"], "(--private-key-file) is no private key in PEM"),
        (["--private-key-file", "@nowhere"], "cannot read"),
    ] {
        let told = complaint(with(&key));
        assert!(told.contains(why) && !told.contains(SECRET) && !told.contains("Secret \""), "{told}");
    }
    let check = |key: &[&str]| command(&[&["check", "--issuer", "home"], key].concat(), &mint(&[])).1;
    assert!(complaint(check(&["--jwks-file", "@secret"])).contains("(--jwks-file) is no JWKS document"));
    assert!(complaint(check(&["--public-key-file", "@rsa.key"])).contains("is a private key"));
}

#[test]
fn a_private_key_signs_for_a_gateway_that_has_its_public_half() {
    let directory = tempfile::tempdir().unwrap();
    for (key, more, algorithm) in [
        ("@rsa.key", &[][..], "RS256"),
        ("@rsa.key", &["--algorithm", "PS384"], "PS384"),
        ("@ed25519.key", &[], "EdDSA"),
    ] {
        let whom = ["--issuer", "home", "--user", "ann", "--kid", "first", "--private-key-file", key];
        let (token, note) = run_on(&directory, &[&["mint"], &whom[..], more].concat(), "");
        assert_eq!(note, Ok(None));
        assert_eq!(header(&token), serde_json::json!({"alg": algorithm, "typ": "JWT", "kid": "first"}));
        let public = key.replace(".key", ".pem");
        let check = ["check", "--issuer", "home", "--public-key-file", &public];
        assert!(run_on(&directory, &check, &token).1.is_ok(), "{algorithm}");
        let (jwks, note) = run_on(&directory, &["jwks", "--private-key-file", key, "--kid", "first"], "");
        assert_eq!(note, Ok(None));
        fs::write(directory.path().join("jwks"), jwks).unwrap();
        let check = ["check", "--issuer", "home", "--jwks-file", "@jwks"];
        assert!(run_on(&directory, &check, &token).1.is_ok(), "{algorithm}");
    }
}

#[test]
fn a_private_key_signs_for_an_issuer_of_a_file_and_for_no_other() {
    let mint = |issuer, key| {
        let whom = ["--issuer", issuer, "--user", "ann", "--private-key-file", key];
        command(&[&["mint", "-f", "@gateway.yaml"], &whom[..]].concat(), "")
    };
    let (token, note) = mint("keys", "@rsa.key");
    assert_eq!(note, Ok(None));
    assert!(command(&["check", "-f", "@gateway.yaml"], &token).1.is_ok());
    let other = complaint(mint("keys", "@ed25519.key").1);
    assert!(other.contains("is not the private half"), "{other}");
    let shared = complaint(mint("home", "@rsa.key").1);
    assert!(shared.contains("the issuer uses [HS384]"), "{shared}");
}

#[test]
fn a_file_says_all_of_its_issuer_and_checks_what_it_made() {
    let (token, note) =
        command(&["mint", "-f", "@gateway.yaml", "--issuer", "home", "--user", "ann@example.com"], "");
    assert_eq!(note, Ok(None));
    let (claims, verdict) = command(&["check", "-f", "@gateway.yaml"], &token);
    assert_eq!(verdict, Ok(Some("valid: user \"ann@example.com\", for another 3600 s".into())));
    let claims: serde_json::Value = serde_json::from_str(&claims).unwrap();
    assert_eq!(
        claims,
        serde_json::json!({
            "iss": "home", "aud": ["market", "stock"], "email": "ann@example.com", "iat": NOW, "exp": NOW + 3600,
        })
    );
    let elsewhere =
        ["check", "--secret-file", "@secret", "--issuer", "home", "--user-claim", "email", "--algorithm"];
    assert!(
        command(&[&elsewhere[..], &["HS384"]].concat(), &token).1.is_ok(),
        "the file's key and algorithm"
    );
    assert!(command(&["check", "-f", "@gateway.yaml", "--issuer", "home"], &token).1.is_ok());
    let other = command(&["check", "-f", "@gateway.yaml", "--issuer", "shop"], &token).1;
    assert!(refusal(other).starts_with("a gateway refuses this token"));
}

#[test]
fn the_only_issuer_of_a_file_need_not_be_named() {
    let (token, note) = command(&["mint", "-f", "@lone.yaml", "--user", "ann"], "");
    assert_eq!(note, Ok(None));
    assert!(command(&["check", "-f", "@lone.yaml", token.trim()], "").1.is_ok());
}

#[test]
fn a_file_that_leaves_the_issuer_open_is_refused_with_what_to_choose_from() {
    for (line, told) in [
        (&["-f", "@gateway.yaml"][..], r#"several issuers: give --issuer one of "home", "shop", "keys""#),
        (
            &["-f", "@gateway.yaml", "--issuer", "x"],
            r#"no issuer "x": give --issuer one of "home", "shop", "keys""#,
        ),
        (&["-f", "@gateway.yaml", "--issuer", "keys"], "give the private one with --private-key-file"),
        (&["-f", "@none.yaml"], "no issuer: add one to authentication.jwt"),
        (&["-f", "@nowhere.yaml"], "cannot read"),
    ] {
        let (token, result) = command(&[&["mint", "--user", "ann"], line].concat(), "");
        let message = complaint(result);
        assert!(token.is_empty() && message.contains(told), "{message}");
    }
}

#[test]
fn standard_input_cannot_be_both_resource_and_token() {
    let message = complaint(command(&["check", "-f", "-"], "").1);
    assert!(message.starts_with("standard input cannot be both"), "{message}");
}

#[test]
fn a_secret_may_come_from_the_environment() {
    // A variable that is set wherever tests run; its value does not matter.
    let (token, result) = command(&["mint", "--secret-env", "PATH", "--issuer", "home", "--user", "ann"], "");
    assert!(result.is_ok());
    let (_, verdict) = command(&["check", "--secret-env", "PATH", "--issuer", "home"], &token);
    assert!(verdict.is_ok());
    assert!(refusal(check(&[], &token).1).contains("signature"));
}

#[test]
fn options_that_make_no_sense_are_refused_by_the_command_line() {
    let good = ["token", "mint", "--issuer", "home", "--user", "ann", "--secret-file", "x"];
    let parses = |more: &[&str]| Line::try_parse_from([&good, more].concat()).is_ok();
    assert!(parses(&[]));
    for more in [
        &["--ttl", "0"][..],
        &["--ttl", "h"],
        &["--ttl", "99999999999999999d"],
        &["--ttl", "1w"],
        &["--claim", "x"],
        &["--claim", "=x"],
        &["--subscribe", "a..b"],
        &["--algorithm", "none"],
        &["--secret-env", "Y"],
        &["--private-key-file", "Y"],
        &["-f", "Y"],
    ] {
        assert!(!parses(more), "{more:?}");
    }
    let file = ["token", "mint", "-f", "x", "-f", "y", "--user", "ann"];
    let parses = |more: &[&str]| Line::try_parse_from([&file, more].concat()).is_ok();
    assert!(parses(&[]) && parses(&["--issuer", "home"]));
    for more in [["--audience", "a"], ["--algorithm", "HS256"], ["--user-claim", "email"]] {
        assert!(!parses(&more), "{more:?}");
    }
    assert!(
        Line::try_parse_from(["token", "mint", "--secret-file", "x", "--user", "ann"]).is_err(),
        "no issuer"
    );
    for (text, seconds) in [("90", 90), ("90s", 90), ("2m", 120), ("2h", 7200), ("2d", 172_800)] {
        assert_eq!(super::mint::seconds(text), Ok(seconds));
    }
}
