//! The cookies of the handshake, and those that its answer sets.

use std::fmt;

use bytes::Bytes;
use cookie::{Cookie, CookieJar};

use super::FromContext;
use crate::place::PlaceKind;
use crate::{Context, Place, Result};

/// The cookies that came with the handshake, percent-decoded; and those that
/// its answer is to set.
///
/// They are only known at connect: keep what you need in the session. What is
/// no cookie is passed over. A page of another site brings the cookies of its
/// visitors along, too: what keeps it out is `server.origins`, which is then not
/// `*`.
///
/// ```
/// use towpath_worker::{Cookie, Cookies, Error, Result};
///
/// async fn connect(cookies: Cookies) -> Result {
///     let Some(theme) = cookies.get("theme") else {
///         return Err(Error::rejected("come by the front page"));
///     };
///     let seen = Cookie::build(("seen", theme.to_owned())).path("/").secure(true);
///     cookies.add(seen.build())
/// }
/// ```
#[derive(Clone)]
pub struct Cookies {
    jar: CookieJar,
    context: Context,
}

impl Cookies {
    /// The value of a cookie; of the last, if there are several of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.jar.get(name).map(Cookie::value)
    }

    /// Every cookie, in no order: its name and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.jar.iter().map(|cookie| cookie.name_value())
    }

    /// The value of a cookie that the application's web framework has signed,
    /// if the signature fits: in the form of the crate `cookie`, which axum,
    /// actix-web and Rocket use.
    #[cfg(feature = "signed-cookies")]
    #[must_use]
    pub fn signed(&self, key: &cookie::Key, name: &str) -> Option<String> {
        let cookie = self.jar.signed(key).get(name)?;
        Some(cookie.value().to_owned())
    }

    /// The value of a cookie that the application's web framework has
    /// encrypted, if it can be decrypted; see [`signed`](Self::signed).
    #[cfg(feature = "signed-cookies")]
    #[must_use]
    pub fn private(&self, key: &cookie::Key, name: &str) -> Option<String> {
        let cookie = self.jar.private(key).get(name)?;
        Some(cookie.value().to_owned())
    }

    /// Sets a cookie with the answer to the handshake, if that accepts.
    ///
    /// # Errors
    ///
    /// An internal [`Error`](crate::Error) if the handshake is answered
    /// already: add cookies before the first word to the socket.
    pub fn add(&self, cookie: impl Into<Cookie<'static>>) -> Result {
        let field = cookie.into().encoded().to_string();
        self.context
            .add_accept_header("set-cookie", Bytes::from(field))
    }
}

impl FromContext for Cookies {
    fn check(place: &Place<'_>) -> Result<(), String> {
        let needs = "they are only known at connect; keep what you need in the Session";
        place.require("Cookies", &[PlaceKind::Connect], needs)
    }

    async fn from_context(context: &Context) -> Result<Self> {
        let mut jar = CookieJar::new();
        let fields = context.handshake()?.headers.iter();
        let fields = fields.filter(|(name, _)| *name == "cookie");
        for text in fields.filter_map(|(_, value)| std::str::from_utf8(value).ok()) {
            for cookie in Cookie::split_parse_encoded(text.to_owned()).flatten() {
                jar.add_original(cookie);
            }
        }
        Ok(Self {
            jar,
            context: context.clone(),
        })
    }
}

/// Their names only: sessions stand in them.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.jar.iter().map(Cookie::name);
        f.debug_list().entries(names).finish()
    }
}
