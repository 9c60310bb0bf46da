//! Who may connect, who clients are and what they may do.

use std::{collections::BTreeMap, ops::Not};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{
    backbone::{SecretKeyRef, SecretRef},
    rule::{ORIGIN, rule},
};
use crate::api::topic::Pattern;

/// The public listener.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listeners {
    /// TCP port for clients; 9090 is taken by metrics and health.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65_535), extend("x-kubernetes-validations" = [rule(
        "self != 9090",
        "9090 is the port for metrics and health; choose another",
    )]))]
    pub port: i32,
    /// TLS with clients (`wss://`, `https://`). Without it they speak in the clear, which is for what stands behind a
    /// proxy that ends TLS. Pods are replaced when it is turned on or off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Origins a browser may come from. An entry is a whole origin in lower case (`https://app.example.com`),
    /// one with any subdomain (`https://*.example.com`), one with any port (`http://localhost:*`), or `*` for all.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 255), regex(pattern = ORIGIN)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allowed_origins: Vec<String>,
    /// A page to try the gateway with at `/docs`, and `/openapi.json`. `topic-gateway dev` has them in any case.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub playground: bool,
    /// Compresses messages for WebSocket clients that offer it (permessage-deflate, RFC 7692): each once, for all its
    /// subscribers. Absent: off. Costs the gateway CPU time per message and saves bytes on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
}

/// Compression of messages.
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compression {
    /// Bytes of JSON from which on a message is compressed; what is shorter hardly gains.
    #[serde(default = "default_min_bytes")]
    #[schemars(range(min = 0, max = 16_777_216))]
    pub min_bytes: i32,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            port: default_port(),
            tls: None,
            allowed_origins: Vec::new(),
            playground: false,
            compression: None,
        }
    }
}

/// TLS with clients.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerTls {
    /// A Secret of type `kubernetes.io/tls` (`tls.crt`, `tls.key`), as cert-manager writes them: the certificate clients
    /// are shown. A changed one is taken over while connections stay open; one that cannot be used leaves the one before
    /// in use.
    pub secret_ref: SecretRef,
}

/// How clients prove who they are.
#[derive(JsonSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Authentication {
    /// Whether clients without a token are admitted (as user `anonymous`).
    #[serde(default)]
    pub anonymous: Anonymous,
    /// Issuers whose tokens are accepted; one entry per issuer.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["issuer"])
    )]
    pub jwt: Vec<JwtIssuer>,
}

/// Whether clients without a token are admitted.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Anonymous {
    /// A token is required.
    #[default]
    Deny,
    /// A client without a token is the user `anonymous`.
    Allow,
}

/// One issuer of tokens. Exactly one of `jwksSecretRef`, `publicKeySecretRef` and `secretRef`.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    rule(
        "[has(self.jwksSecretRef), has(self.publicKeySecretRef), has(self.secretRef)]\
         .filter(given, given).size() == 1",
        "needs exactly one key; keep one of jwksSecretRef, publicKeySecretRef and secretRef",
    ),
    rule(
        "has(self.secretRef) || !self.algorithms.exists(a, a.startsWith('HS'))",
        "HS256, HS384 and HS512 need secretRef, for whoever knows a public key could sign with it; \
         take them from algorithms",
    ),
    rule(
        "!has(self.secretRef) || self.algorithms.all(a, a.startsWith('HS'))",
        "a shared secret only checks HS256, HS384 and HS512; take the others from algorithms, \
         or use jwksSecretRef or publicKeySecretRef",
    ),
]))]
pub struct JwtIssuer {
    /// The `iss` claim, exactly.
    #[schemars(length(min = 1, max = 512))]
    pub issuer: String,
    /// Accepted `aud` claims; empty: the claim is not looked at.
    #[serde(default)]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 512)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub audiences: Vec<String>,
    /// Accepted signature algorithms; empty: those that the kind of key allows. Whatever is listed, a shared
    /// secret only checks HMAC and a public key never does (RFC 8725 §3.1).
    #[serde(default)]
    #[schemars(length(max = 12), extend("x-kubernetes-list-type" = "set"))]
    pub algorithms: Vec<JwtAlgorithm>,
    /// The claim that names the user.
    #[serde(default = "default_user_claim")]
    #[schemars(length(min = 1, max = 128))]
    pub user_claim: String,
    /// A JWKS document with public keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_secret_ref: Option<SecretKeyRef>,
    /// A public key in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key_secret_ref: Option<SecretKeyRef>,
    /// A shared secret (HMAC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
}

/// Signature algorithms of RFC 7518 and RFC 8037 that a token may use. There is no `none`.
#[allow(missing_docs)]
#[derive(JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum JwtAlgorithm {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

/// Whom a rule is for (all three must hold) and what it grants.
#[derive(JsonSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[schemars(extend("x-kubernetes-validations" = [rule(
    "self.subscribe.size() + self.publish.size() > 0",
    "grants nothing; add patterns to subscribe or publish, or take the rule away",
)]))]
pub struct AuthorizationRule {
    /// User names; `*` is everybody.
    #[serde(default = "everybody")]
    #[schemars(
        length(min = 1, max = 256),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub users: Vec<String>,
    /// One of these must be in the token's `roles` claim; empty: any.
    #[serde(default)]
    #[schemars(
        length(max = 64),
        inner(length(min = 1, max = 256)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub roles: Vec<String>,
    /// Each of these claims must have this value (or hold it, where the claim is a list).
    #[serde(default)]
    #[schemars(schema_with = "claims")]
    pub claims: BTreeMap<String, String>,
    /// Topics that may be subscribed to.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub subscribe: Vec<Pattern>,
    /// Topics that may be published to.
    #[serde(default)]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    pub publish: Vec<Pattern>,
}

fn claims(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": { "type": "string", "maxLength": 256 },
        "maxProperties": 16,
    })
}

fn default_port() -> i32 {
    8080
}

fn default_min_bytes() -> i32 {
    512
}

fn default_user_claim() -> String {
    "sub".into()
}

fn everybody() -> Vec<String> {
    vec!["*".into()]
}
