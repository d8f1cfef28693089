//! Tokens: HS512 JWTs that clients decode but cannot make. See MWDB API §U4.1.
//!
//! The one rule: only the algorithm named here is accepted, whatever the header of a token says.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::timestamp::Timestamp;

const SESSION_SECONDS: i64 = 24 * 3600;
const SET_PASSWORD_SECONDS: i64 = 14 * 24 * 3600;
const DOWNLOAD_SECONDS: i64 = 60;

/// Makes and reads tokens with the key of this server.
pub(crate) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    audience: String,
}

/// What a bearer token claims. Whether the account agrees is for the database to say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    Session {
        login: String,
        password_ver: String,
        identity_ver: String,
        provider: Option<String>,
    },
    ApiKey {
        id: String,
    },
    /// Second generation: a key without audience and time.
    LegacyKey {
        id: String,
    },
    /// First generation: valid while the account has this version.
    LegacyVersion {
        login: String,
        version_uid: Option<String>,
    },
}

#[derive(Serialize)]
struct Claims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    iat: i64,
    aud: &'a str,
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    #[serde(flatten)]
    extra: Map<String, Value>,
}

impl Tokens {
    pub(crate) fn new(secret_key: &str, base_url: &str) -> Self {
        let key = secret_key.as_bytes();
        Self { signing: EncodingKey::from_secret(key), checking: DecodingKey::from_secret(key), audience: base_url.to_owned() }
    }

    fn make(&self, scope: &'static str, login: Option<&str>, lifetime: Option<i64>, extra: &[(&str, Value)]) -> anyhow::Result<String> {
        let iat = Timestamp::now().seconds();
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let claims = Claims { login, sub: login, iat, aud: &self.audience, scope, exp: lifetime.map(|seconds| iat + seconds), extra };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &self.signing)?)
    }

    pub(crate) fn session(&self, login: &str, password_ver: &str, identity_ver: &str, provider: Option<&str>) -> anyhow::Result<String> {
        let extra = [("provider", provider.into()), ("password_ver", password_ver.into()), ("identity_ver", identity_ver.into())];
        self.make("session", Some(login), Some(SESSION_SECONDS), &extra)
    }

    pub(crate) fn api_key(&self, login: &str, id: &str) -> anyhow::Result<String> {
        self.make("api_key", Some(login), None, &[("api_key_id", id.into())])
    }

    pub(crate) fn set_password(&self, login: &str, password_ver: &str) -> anyhow::Result<String> {
        self.make("set_password", Some(login), Some(SET_PASSWORD_SECONDS), &[("password_ver", password_ver.into())])
    }

    /// A token that opens one file, and tells for which account (MWDB Core's do not).
    pub(crate) fn download(&self, sha256: &str, account: i64) -> anyhow::Result<String> {
        self.make("download_file", None, Some(DOWNLOAD_SECONDS), &[("identifier", sha256.into()), ("account", account.into())])
    }

    /// The claims of a token that this server signed, whatever they say.
    fn signed(&self, token: &str) -> Option<Map<String, Value>> {
        let mut validation = Validation::new(Algorithm::HS512);
        validation.required_spec_claims.clear();
        // Checked below, by the rules of the reference: no leeway, lists of audiences, no `exp` for keys.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Map<String, Value>>(token, &self.checking, &validation).ok()?.claims;
        (is_understood(token) && is_begun(&claims)).then_some(claims)
    }

    /// The claims of a token with the wanted scope that is valid now.
    fn scoped(&self, token: &str, scope: &str) -> Option<Map<String, Value>> {
        let claims = self.signed(token)?;
        self.is_current(&claims, scope).then_some(claims)
    }

    fn is_current(&self, claims: &Map<String, Value>, scope: &str) -> bool {
        let now = Timestamp::now().seconds();
        let expired = claims.get("exp").is_some_and(|exp| seconds(exp).is_none_or(|exp| exp <= now));
        let not_yet = claims.get("iat").is_some_and(|iat| iat.as_f64().is_none_or(|iat| Timestamp::from_seconds(iat) > Timestamp::now()));
        let audience_fits = match claims.get("aud") {
            Some(Value::String(audience)) => *audience == self.audience,
            Some(Value::Array(list)) => list.iter().any(|audience| audience.as_str() == Some(&self.audience)),
            _ => false,
        };
        !expired && !not_yet && audience_fits && claims.get("scope").and_then(Value::as_str) == Some(scope)
    }

    /// What a bearer token claims: session, then API key, then the two forms of old.
    pub(crate) fn bearer(&self, token: &str) -> Option<Claim> {
        let claims = self.signed(token)?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        if self.is_current(&claims, "session") {
            return Some(Claim::Session {
                login: text("sub")?,
                password_ver: text("password_ver")?,
                identity_ver: text("identity_ver")?,
                provider: text("provider"),
            });
        }
        if self.is_current(&claims, "api_key") {
            text("sub")?;
            return Some(Claim::ApiKey { id: text("api_key_id")? });
        }
        let exactly = |names: &[&str]| claims.len() == names.len() && names.iter().all(|name| claims.contains_key(*name));
        if exactly(&["login", "version_uid"]) {
            let version_uid = match claims.get("version_uid") {
                Some(Value::Null) => None,
                _ => Some(text("version_uid")?),
            };
            return Some(Claim::LegacyVersion { login: text("login")?, version_uid });
        }
        if exactly(&["login", "api_key_id"]) {
            return Some(Claim::LegacyKey { id: text("api_key_id")? });
        }
        None
    }

    /// Login and password version of a set-password token.
    pub(crate) fn read_set_password(&self, token: &str) -> Option<(String, String)> {
        let claims = self.scoped(token, "set_password")?;
        Some((claims.get("sub")?.as_str()?.to_owned(), claims.get("password_ver")?.as_str()?.to_owned()))
    }

    /// The file a download token is for, and the account that asked for it where the token tells.
    pub(crate) fn read_download(&self, token: &str) -> Option<(String, Option<i64>)> {
        let claims = self.scoped(token, "download_file")?;
        Some((claims.get("identifier")?.as_str()?.to_owned(), claims.get("account").and_then(Value::as_i64)))
    }
}

/// Whether the header asks for nothing that this server does not know: `crit` names what must be
/// understood, `b64: false` is another way to sign.
fn is_understood(token: &str) -> bool {
    let header = token.split('.').next().and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|json| serde_json::from_slice::<Map<String, Value>>(&json).ok());
    header.is_some_and(|header| !header.contains_key("crit") && header.get("b64") != Some(&Value::Bool(false)))
}

/// Whether the token may be used yet, and is named by a text if it has a name.
fn is_begun(claims: &Map<String, Value>) -> bool {
    let begun = claims.get("nbf").is_none_or(|nbf| seconds(nbf).is_some_and(|nbf| nbf <= Timestamp::now().seconds()));
    begun && claims.get("jti").is_none_or(Value::is_string)
}

/// A moment as tokens spell it: a number, also in quotation marks; parts of a second do not count.
fn seconds(value: &Value) -> Option<i64> {
    match value {
        #[expect(clippy::cast_possible_truncation, reason = "a moment too far away is as far as there is")]
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new("e2e-testing-key", "http://127.0.0.1")
    }

    fn forge(header: &Header, claims: &Value, key: &str) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(key.as_bytes())).expect("claims encode")
    }

    #[test]
    fn a_session_token_says_who_it_is_for() {
        let token = tokens().session("alice", "p", "i", None).expect("a token");
        let claim = Claim::Session { login: "alice".into(), password_ver: "p".into(), identity_ver: "i".into(), provider: None };
        assert_eq!(tokens().bearer(&token), Some(claim));
    }

    #[test]
    fn tokens_of_another_key_audience_scope_or_time_are_refused() {
        let good = serde_json::json!({"login": "a", "sub": "a", "iat": 1, "aud": "http://127.0.0.1", "scope": "session",
            "exp": 99_999_999_999_i64, "password_ver": "p", "identity_ver": "i", "provider": null});
        let header = Header::new(Algorithm::HS512);
        assert!(tokens().bearer(&forge(&header, &good, "e2e-testing-key")).is_some());
        assert!(tokens().bearer(&forge(&header, &good, "another key")).is_none());
        assert!(tokens().bearer(&forge(&Header::new(Algorithm::HS256), &good, "e2e-testing-key")).is_none());
        let changes: [(&str, Value); 10] = [
            ("nbf", 99_999_999_999_i64.into()),
            ("nbf", Value::Null),
            ("jti", 1.into()),
            ("aud", "http://elsewhere".into()),
            ("exp", 1.into()),
            ("exp", "soon".into()),
            ("iat", 99_999_999_999_i64.into()),
            ("scope", "set_password".into()),
            ("sub", Value::Null),
            ("password_ver", Value::Null),
        ];
        for (name, value) in changes {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(tokens().bearer(&forge(&header, &bad, "e2e-testing-key")).is_none(), "{name}");
        }
    }

    #[test]
    fn headers_and_moments_are_read_as_clients_may_write_them() {
        let claims = serde_json::json!({"login": "a", "sub": "a", "iat": 1, "nbf": 1.5, "jti": "x", "aud": "http://127.0.0.1",
            "scope": "api_key", "exp": "99999999999", "api_key_id": "k"});
        let with = |member: &str| {
            let header = format!(r#"{{"alg": "HS512", "typ": "JWT"{member}}}"#);
            let message = [header, claims.to_string()].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part)).join(".");
            let key = EncodingKey::from_secret(b"e2e-testing-key");
            let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS512).expect("a signature");
            tokens().bearer(&format!("{message}.{signature}"))
        };
        for good in ["", r#", "b64": true"#, r#", "kid": "x""#, r#", "x": 1"#] {
            assert!(with(good).is_some(), "{good}");
        }
        for bad in [r#", "crit": ["x"]"#, r#", "crit": []"#, r#", "crit": null"#, r#", "b64": false"#] {
            assert!(with(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_token_without_signature_is_refused() {
        let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(serde_json::json!({"alg": "none", "typ": "JWT"}));
        let claims = part(serde_json::json!({"login": "admin", "version_uid": null}));
        assert!(tokens().bearer(&format!("{header}.{claims}.")).is_none());
        assert!(tokens().bearer("").is_none());
        assert!(tokens().bearer("a.b.c").is_none());
    }

    #[test]
    fn old_tokens_hold_exactly_their_two_claims() {
        let header = Header::new(Algorithm::HS512);
        let old = serde_json::json!({"login": "a", "version_uid": null});
        let claim = Claim::LegacyVersion { login: "a".into(), version_uid: None };
        assert_eq!(tokens().bearer(&forge(&header, &old, "e2e-testing-key")), Some(claim));
        let more = serde_json::json!({"login": "a", "version_uid": null, "scope": "session"});
        assert!(tokens().bearer(&forge(&header, &more, "e2e-testing-key")).is_none());
    }
}
