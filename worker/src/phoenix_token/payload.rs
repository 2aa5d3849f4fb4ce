//! What is inside of a token: `{data, signed_at, max_age}`.

use std::time::Duration;

use super::{PhoenixTokenError, Term, TermError};

/// How old a token may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxAge {
    /// So old, measured in whole milliseconds. Zero: it has expired already.
    Limit(Duration),
    /// It never expires.
    Infinity,
}

impl From<Duration> for MaxAge {
    fn from(limit: Duration) -> Self {
        Self::Limit(limit)
    }
}

impl MaxAge {
    /// In seconds, as Elixir has it.
    fn term(self) -> Term {
        match self {
            Self::Infinity => Term::atom("infinity"),
            Self::Limit(limit) if limit.subsec_nanos() == 0 => {
                Term::Integer(limit.as_secs().into())
            }
            Self::Limit(limit) => Term::Float(limit.as_secs_f64()),
        }
    }
}

/// What a maximal age means for a token.
enum Lifetime {
    Endless,
    /// Zero or less: it has expired at any age.
    Over,
    Milliseconds(i128),
}

impl From<MaxAge> for Lifetime {
    fn from(max_age: MaxAge) -> Self {
        match max_age {
            MaxAge::Infinity => Self::Endless,
            MaxAge::Limit(Duration::ZERO) => Self::Over,
            MaxAge::Limit(limit) => Self::Milliseconds(milliseconds(limit)),
        }
    }
}

impl Lifetime {
    /// As the token says it.
    fn read(max_age: &Term) -> Option<Self> {
        match max_age {
            Term::Atom(name) if name == "infinity" => Some(Self::Endless),
            Term::Integer(..=0) => Some(Self::Over),
            Term::Integer(seconds) => Some(Self::Milliseconds(seconds.saturating_mul(1000))),
            Term::Float(..=0.0) => Some(Self::Over),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a fraction of a millisecond does not count, and what is more than fits never comes"
            )]
            Term::Float(seconds) => Some(Self::Milliseconds((seconds * 1000.0) as i128)),
            _ => None,
        }
    }

    fn is_over(&self, age: i128) -> bool {
        match self {
            Self::Endless => false,
            Self::Over => true,
            Self::Milliseconds(limit) => age > *limit,
        }
    }
}

/// The payload of a token that is signed at a time since 1970.
pub(super) fn write(
    data: Term,
    signed_at: Duration,
    max_age: MaxAge,
) -> Result<Vec<u8>, TermError> {
    let signed_at = Term::Integer(milliseconds(signed_at));
    Term::Tuple(vec![data, signed_at, max_age.term()]).encode()
}

/// The data of a genuine payload, unless it is too old now. A limit that the
/// reader says counts in place of the token's own.
pub(super) fn read(
    payload: &[u8],
    max_age: Option<MaxAge>,
    now: Duration,
    leeway: Duration,
) -> Result<Term, PhoenixTokenError> {
    let invalid = || PhoenixTokenError::Invalid;
    let Ok(Term::Tuple(parts)) = Term::decode(payload) else {
        return Err(invalid());
    };
    let [data, Term::Integer(signed_at), own] =
        <[Term; 3]>::try_from(parts).map_err(|_| invalid())?
    else {
        return Err(invalid());
    };
    let age = milliseconds(now).saturating_sub(signed_at);
    if age < -milliseconds(leeway) {
        return Err(invalid());
    }
    let lifetime = match max_age {
        Some(max_age) => max_age.into(),
        None => Lifetime::read(&own).ok_or_else(invalid)?,
    };
    if lifetime.is_over(age) {
        return Err(PhoenixTokenError::Expired);
    }
    Ok(data)
}

fn milliseconds(duration: Duration) -> i128 {
    duration.as_millis().try_into().unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);
    const LEEWAY: Duration = Duration::from_secs(30);

    fn payload(signed_at: Term, max_age: Term) -> Vec<u8> {
        let data = Term::Integer(1);
        Term::Tuple(vec![data, signed_at, max_age])
            .encode()
            .unwrap()
    }

    /// What becomes of a token with that max age, a second after it was signed.
    fn at_one_second(max_age: Term) -> Result<Term, PhoenixTokenError> {
        let signed_at = Term::Integer(1_799_999_999_000);
        read(&payload(signed_at, max_age), None, NOW, LEEWAY)
    }

    #[test]
    fn every_max_age_that_elixir_writes_is_read() {
        let good = [
            Term::Integer(1),
            Term::Float(1.0),
            Term::Float(1e300),
            Term::Integer(i128::MAX),
            Term::atom("infinity"),
        ];
        for max_age in good {
            assert_eq!(
                at_one_second(max_age.clone()),
                Ok(Term::Integer(1)),
                "{max_age:?}"
            );
        }
        let over = [0, -1, i128::MIN].map(Term::Integer);
        for max_age in over.into_iter().chain([0.999, 0.0, -0.1].map(Term::Float)) {
            assert_eq!(
                at_one_second(max_age.clone()),
                Err(PhoenixTokenError::Expired),
                "{max_age:?}"
            );
        }
        for max_age in [Term::atom("nil"), Term::binary("60"), Term::List(vec![])] {
            assert_eq!(
                at_one_second(max_age.clone()),
                Err(PhoenixTokenError::Invalid),
                "{max_age:?}"
            );
        }
    }

    #[test]
    fn a_payload_of_another_shape_is_invalid() {
        let whole = [Term::Integer(1), Term::Integer(0), Term::atom("infinity")];
        let shapes = [
            Term::Tuple(whole[..2].to_vec()),
            Term::Tuple([whole.as_slice(), &whole[..1]].concat()),
            Term::List(whole.to_vec()),
            Term::Tuple(vec![
                Term::Integer(1),
                Term::Float(0.0),
                Term::atom("infinity"),
            ]),
        ];
        for shape in shapes {
            let read = read(&shape.encode().unwrap(), None, NOW, LEEWAY);
            assert_eq!(read, Err(PhoenixTokenError::Invalid), "{shape:?}");
        }
    }

    #[test]
    fn what_is_signed_before_1970_is_old_and_nothing_overflows() {
        for signed_at in [-1, i128::MIN] {
            let payload = payload(Term::Integer(signed_at), Term::Integer(86_400));
            let read = read(&payload, None, NOW, LEEWAY);
            assert_eq!(read, Err(PhoenixTokenError::Expired));
        }
        let payload = payload(Term::Integer(i128::MAX), Term::atom("infinity"));
        let read = read(&payload, None, NOW, Duration::MAX);
        assert_eq!(read, Err(PhoenixTokenError::Invalid));
    }
}
