//! Who may use the interface: whoever has one of the tokens.

use std::fmt;

use http::header::{AUTHORIZATION, HeaderMap};
use subtle::{Choice, ConstantTimeEq};

use super::problem::{Kind, Problem};

/// The shortest token, in characters.
const LEN_MIN: usize = 16;

/// The longest token, in characters; a request's head has to hold it.
const LEN_MAX: usize = 1024;

/// The tokens that open the interface. Several, so that one can be replaced
/// while clients still use it.
///
/// Never shown: `Debug` says how many there are.
#[derive(Clone)]
pub struct Tokens(Vec<Box<[u8]>>);

/// Tokens that cannot guard anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is none.
    #[error("there is no token")]
    Missing,
    /// One is too short or too long.
    #[error("a token has {len} characters, {LEN_MIN} to {LEN_MAX} are needed")]
    Length {
        /// How many characters it has.
        len: usize,
    },
    /// One has a character that a header could not carry.
    #[error("a token has a character other than ASCII letters, digits and -._~+/=")]
    Character,
}

impl Tokens {
    /// Checks tokens: at least one, each of 16 to 1024 of the characters that
    /// RFC 6750 allows.
    ///
    /// # Errors
    ///
    /// [`TokenError`] says what is wrong, without showing the token.
    pub fn new<T: AsRef<str>>(tokens: impl IntoIterator<Item = T>) -> Result<Self, TokenError> {
        let tokens = tokens
            .into_iter()
            .map(|token| check(token.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        if tokens.is_empty() {
            return Err(TokenError::Missing);
        }
        Ok(Self(tokens))
    }

    /// Lets a request pass that carries one of them.
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Problem> {
        match bearer(headers) {
            Some(token) if self.holds(token) => Ok(()),
            Some(_) => Err(refused("the token is not one of those that are configured")),
            None => Err(refused("the request carries no bearer token")),
        }
    }

    /// Compares with every token in a time that does not depend on where they
    /// differ. Their lengths may show, their characters do not.
    fn holds(&self, token: &[u8]) -> bool {
        let any = self.0.iter().fold(Choice::from(0), |found, known| {
            found | known.as_ref().ct_eq(token)
        });
        any.into()
    }
}

fn check(token: &str) -> Result<Box<[u8]>, TokenError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(fits) {
        return Err(TokenError::Character);
    }
    if !(LEN_MIN..=LEN_MAX).contains(&token.len()) {
        return Err(TokenError::Length { len: token.len() });
    }
    Ok(token.as_bytes().into())
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, token) = value.split_at(space);
    scheme
        .eq_ignore_ascii_case(b"bearer")
        .then(|| token.trim_ascii())
}

fn refused(detail: &str) -> Problem {
    Problem::new(Kind::Unauthorized, detail).expecting("Authorization: Bearer, and a token")
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "one-token-of-those";
    const TWO: &str = "two-token-of-those";

    fn admitted(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        Tokens::new([ONE, TWO]).unwrap().admit(&headers).is_ok()
    }

    #[test]
    fn every_token_opens_and_nothing_else_does() {
        for value in [
            &format!("Bearer {ONE}"),
            &format!("bearer {TWO}"),
            &format!("Bearer  {ONE}"),
        ] {
            assert!(admitted(value), "{value}");
        }
        for value in [
            ONE,
            "Bearer",
            "Bearer ",
            &format!("Basic {ONE}"),
            &format!("Bearer {}", &ONE[1..]),
            &format!("Bearer {ONE}x"),
            &format!("Bearer {ONE}{TWO}"),
            &format!("Bearer {}", ONE.to_uppercase()),
        ] {
            assert!(!admitted(value), "{value}");
        }
        Tokens::new([ONE])
            .unwrap()
            .admit(&HeaderMap::new())
            .unwrap_err();
    }

    #[test]
    fn a_token_that_guards_nothing_is_refused() {
        assert_eq!(Tokens::new([""; 0]).unwrap_err(), TokenError::Missing);
        assert_eq!(
            Tokens::new([""]).unwrap_err(),
            TokenError::Length { len: 0 }
        );
        assert_eq!(
            Tokens::new([ONE, "short"]).unwrap_err(),
            TokenError::Length { len: 5 }
        );
        let long = "x".repeat(LEN_MAX + 1);
        assert_eq!(
            Tokens::new([long]).unwrap_err(),
            TokenError::Length { len: 1025 }
        );
        assert_eq!(
            Tokens::new(["a token with spaces"]).unwrap_err(),
            TokenError::Character
        );
    }

    #[test]
    fn tokens_are_not_shown() {
        let shown = format!("{:?}", Tokens::new([ONE, TWO]).unwrap());
        assert_eq!(shown, "2 tokens");
    }
}
