//! Alerts by mail, one message each. To a relay on this machine it speaks plainly, as the original does; to any other it
//! takes TLS where that is offered, with a certificate that holds, and port 465 is TLS from the first byte.

use std::net::IpAddr;
use std::time::Duration;

use lettre::message::header::{ContentType, To};
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};

use super::told::Alert;
use super::{Fault, Way};

/// For connecting, and for each answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where TLS comes first.
const SUBMISSIONS: u16 = 465;

/// See the module.
pub(super) struct Mail {
    from: Mailbox,
    to: Mailboxes,
    relay: String,
    transport: SmtpTransport,
}

impl Mail {
    /// Why it cannot be is said in words that name no address.
    pub(super) fn new(from: Mailbox, to: Mailboxes, server: &str, port: u16) -> Result<Self, String> {
        let own =
            server == "localhost" || server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let tls = || {
            TlsParameters::new(server.to_owned()).map_err(|error| format!("no TLS with `{server}`: {error}"))
        };
        let tls = match port {
            SUBMISSIONS => Tls::Wrapper(tls()?),
            _ if own => Tls::None,
            _ => Tls::Opportunistic(tls()?),
        };
        let transport = SmtpTransport::builder_dangerous(server).port(port).tls(tls).timeout(Some(PATIENCE));
        Ok(Self { from, to, relay: format!("{server}:{port}"), transport: transport.build() })
    }

    fn message(&self, alert: &Alert) -> Result<Message, lettre::error::Error> {
        Message::builder()
            .from(self.from.clone())
            .mailbox(To::from(self.to.clone()))
            .subject(format!("[RAZAR] {} alert", alert.severity.shouted()))
            // A repeated message has the same name.
            .message_id(Some(format!("<razar.{}.{}@{}>", alert.fact, alert.at.0, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN)
            .body(alert.text())
    }
}

impl Way for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn send(&mut self, alert: &Alert) -> Result<(), Fault> {
        let message = self.message(alert).map_err(|error| Fault::Refused(error.to_string()))?;
        match self.transport.send(&message) {
            Ok(_) => Ok(()),
            Err(error) => {
                let said = format!("{}: {error}", self.relay);
                Err(if error.is_permanent() { Fault::Refused(said) } else { Fault::Away(said) })
            }
        }
    }
}
