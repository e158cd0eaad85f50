//! What one call may use. Every limit is a number with a reason and an attack it stops; there is no "unlimited". An
//! operator's `limits` change a role's defaults within a floor and a ceiling.

use std::fmt;

use super::capability::Role;
use crate::document::units::Bytes;
use crate::time::Millis;

/// Why an operator's limit is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Below what anything can run with.
    #[error("`{field}` is {given}, below the floor of {floor}")]
    Floor {
        /// Which.
        field: LimitField,
        /// As written.
        given: String,
        /// The least.
        floor: String,
    },
    /// Above what this host will ever spend on one call.
    #[error("`{field}` is {given}, above the ceiling of {ceiling}")]
    Ceiling {
        /// Which.
        field: LimitField,
        /// As written.
        given: String,
        /// The most.
        ceiling: String,
    },
    /// An answer crosses the border too.
    #[error("`reply` is {reply}, above `hostcall` of {hostcall}, which it has to pass")]
    Reply {
        /// What it would be.
        reply: String,
        /// What it would have to pass.
        hostcall: String,
    },
}

impl LimitError {
    /// Which limit it is about.
    pub const fn field(&self) -> LimitField {
        match self {
            Self::Floor { field, .. } | Self::Ceiling { field, .. } => *field,
            Self::Reply { .. } => LimitField::Reply,
        }
    }

    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Floor { field, floor, .. } => format!("write `{field} = {floor}` or more"),
            Self::Ceiling { field, ceiling, .. } => format!("write `{field} = {ceiling}` or less"),
            Self::Reply { reply, .. } => format!("write `hostcall = {reply}` or more"),
        }
    }
}

trait Limit: Copy + PartialOrd {
    /// As written in `grants.toml`.
    fn written(self) -> String;
    /// The unit as it ends a key, and the number in it.
    fn measured(self) -> (&'static str, u64);
    /// From that number; what is more than can be said is the most that can.
    fn of(number: u64) -> Self;
}

impl Limit for Bytes {
    fn written(self) -> String {
        format!("\"{self}\"")
    }

    fn measured(self) -> (&'static str, u64) {
        ("_bytes", self.0)
    }

    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Limit for Millis {
    fn written(self) -> String {
        format!("\"{self}\"")
    }

    fn measured(self) -> (&'static str, u64) {
        ("_ms", self.0)
    }

    fn of(number: u64) -> Self {
        Self(number)
    }
}

impl Limit for u32 {
    fn written(self) -> String {
        self.to_string()
    }

    fn measured(self) -> (&'static str, u64) {
        ("", u64::from(self))
    }

    fn of(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
}

impl Limit for u64 {
    fn written(self) -> String {
        self.to_string()
    }

    fn measured(self) -> (&'static str, u64) {
        ("", self)
    }

    fn of(number: u64) -> Self {
        number
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $field:ident / $variant:ident: $type:ty, $name:literal, $floor:expr, $ceiling:expr;)*) => {
        /// What one call may use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: $type,)*
            /// Instructions, on the evaluation engine only: deterministic where the deadline is not.
            pub fuel: Option<u64>,
        }

        /// What an operator changes.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct LimitsOverride {
            $($(#[$doc])* pub $field: Option<$type>,)*
            /// Instructions, on the evaluation engine only.
            pub fuel: Option<u64>,
        }

        /// The name of a limit.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum LimitField {
            $($(#[$doc])* $variant,)*
            /// Instructions, on the evaluation engine only.
            Fuel,
        }

        impl LimitField {
            /// All of them, in the order they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)* Self::Fuel];

            /// The key in `grants.toml`, in logs and labels.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Fuel => "fuel",
                }
            }
        }

        impl LimitsOverride {
            /// Changes one limit to so many bytes, milliseconds or pieces.
            pub fn set(&mut self, field: LimitField, number: u64) {
                match field {
                    $(LimitField::$variant => self.$field = Some(Limit::of(number)),)*
                    LimitField::Fuel => self.fuel = Some(number),
                }
            }

            /// What lies outside floor and ceiling.
            pub fn check(&self) -> Vec<LimitError> {
                let mut errors = Vec::new();
                $(if let Some(given) = self.$field {
                    errors.extend(bounded(LimitField::$variant, given, $floor, $ceiling));
                })*
                if let Some(given) = self.fuel {
                    errors.extend(bounded(LimitField::Fuel, given, FUEL.0, FUEL.1));
                }
                errors
            }
        }

        impl Limits {
            /// These with the operator's changes, or everything that is wrong with them.
            pub fn with(self, change: &LimitsOverride) -> Result<Self, Vec<LimitError>> {
                let errors = change.check();
                if !errors.is_empty() {
                    return Err(errors);
                }
                let changed = Self {
                    $($field: change.$field.unwrap_or(self.$field),)*
                    fuel: change.fuel.or(self.fuel),
                };
                if changed.reply > changed.hostcall {
                    let (reply, hostcall) = (changed.reply.written(), changed.hostcall.written());
                    return Err(vec![LimitError::Reply { reply, hostcall }]);
                }
                Ok(changed)
            }

            /// One limit in bytes, milliseconds or pieces; nothing for fuel that is not set.
            pub fn get(&self, field: LimitField) -> Option<u64> {
                match field {
                    $(LimitField::$variant => Some(self.$field.measured().1),)*
                    LimitField::Fuel => self.fuel,
                }
            }

            /// Each limit as `grants.toml` would write it; fuel only when it is set.
            pub fn lines(&self) -> Vec<(LimitField, String)> {
                let mut lines = vec![$((LimitField::$variant, self.$field.written()),)*];
                lines.extend(self.fuel.map(|fuel| (LimitField::Fuel, fuel.written())));
                lines
            }

            /// Each limit as a number for programs, its unit at the end of its key; fuel only when it is set.
            pub fn measures(&self) -> Vec<(String, u64)> {
                let key = |name: &str, (unit, number): (&str, u64)| {
                    (format!("{}{unit}", name.replace('-', "_")), number)
                };
                let mut measures = vec![$(key($name, self.$field.measured()),)*];
                measures.extend(self.fuel.map(|fuel| key("fuel", fuel.measured())));
                measures
            }
        }
    };
}

const FUEL: (u64, u64) = (1_000_000, 1_000_000_000_000);

limits! {
    /// Linear memory of all its instances together. The floor is what a small Rust guest begins with.
    memory / Memory: Bytes, "memory", Bytes::mib(1), Bytes::gib(2);
    /// Elements of all its tables together: a declared table of 4,294,967,295 is allocated before anything runs.
    table_elements / TableElements: u32, "table-elements", 1_000, 1_000_000;
    /// Core instances: each costs the host bookkeeping the guest does not pay for.
    instances / Instances: u32, "instances", 4, 1_000;
    /// Linear memories: each reserves 4 GiB of address space.
    memories / Memories: u32, "memories", 1, 100;
    /// Tables.
    tables / Tables: u32, "tables", 1, 1_000;
    /// Processor time, waits inside the host and queueing, all together.
    deadline / Deadline: Millis, "deadline", Millis(10), Millis::seconds(3_600);
    /// What crosses the border in one host call: a guest passing a 30 MiB list makes the host copy it.
    hostcall / Hostcall: Bytes, "hostcall", Bytes::kib(64), Bytes::mib(128);
    /// The answer, lifted out of the guest.
    reply / Reply: Bytes, "reply", Bytes::kib(1), Bytes::mib(64);
    /// What it may log in one call; the rest is counted and dropped.
    log / Log: Bytes, "log", Bytes::kib(1), Bytes::mib(16);
    /// What it may print in one call on stdout and stderr together; the rest is counted and dropped.
    stdout / Stdout: Bytes, "stdout", Bytes(0), Bytes::mib(16);
    /// HTTP requests, TCP connections and name lookups in one call, all together.
    requests / Requests: u32, "requests", 0, 10_000;
    /// One HTTP request from its start to the last byte of its answer: a slow drip ends here.
    request_time / RequestTime: Millis, "request-time", Millis(10), Millis::seconds(3_600);
    /// One HTTP request's body, or what one TCP connection sends.
    request / Request: Bytes, "request", Bytes(0), Bytes::mib(64);
    /// One HTTP answer's body, or what one TCP connection receives.
    response / Response: Bytes, "response", Bytes::kib(1), Bytes::mib(64);
    /// One message's header block, either way: past 32,768 fields older runtimes panicked.
    headers / Headers: Bytes, "headers", Bytes::kib(4), Bytes::kib(128);
    /// Resources open at one time: files, streams, pollables.
    handles / Handles: u32, "handles", 16, 100_000;
    /// One request for random bytes: the host's memory, not the guest's.
    random / Random: Bytes, "random", Bytes(64), Bytes::mib(1);
    /// Calls of this plugin at one time; further ones wait within their deadline.
    concurrent / Concurrent: u32, "concurrent", 1, 10_000;
    /// What the files of all directories it may write in hold together, by their lengths: WASI itself lets a guest fill a
    /// disk, and a file of a tebibyte that is all hole is made in no time. What a call frees is free for the next.
    disk / Disk: Bytes, "disk", Bytes(0), Bytes::gib(16_384);
    /// Files, directories and links below the directories it may write in, together. The ceiling stays under what the
    /// host looks at in one tree before a call.
    files / Files: u32, "files", 0, 9_000;
}

fn bounded<T: Limit>(field: LimitField, given: T, floor: T, ceiling: T) -> Option<LimitError> {
    if given < floor {
        Some(LimitError::Floor { field, given: given.written(), floor: floor.written() })
    } else if given > ceiling {
        Some(LimitError::Ceiling { field, given: given.written(), ceiling: ceiling.written() })
    } else {
        None
    }
}

impl fmt::Display for LimitField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Limits {
    /// A role's limits where the operator says nothing.
    pub const fn defaults(role: Role) -> Self {
        match role {
            Role::Probe => PROBE,
            Role::Agent => AGENT,
            Role::Evaluator => EVALUATOR,
            Role::Tools => TOOLS,
        }
    }
}

/// Called often, by the thousand at a time: small enough that 8,000 calls in flight fit on a small machine.
const PROBE: Limits = Limits {
    memory: Bytes::mib(16), // a probe with a TLS-free HTTP client uses under 2 MiB; 8 times that for other languages
    table_elements: 20_000, // real plugins have at most 942 functions, interpreters 24,233
    instances: 80,          // a Rust or JavaScript component has 4 to 12, a Python one 64
    memories: 8,            // one each for the guest and its adapters
    tables: 16,             // the same, with the shims' own
    deadline: Millis::seconds(5), // the probe schedule's own default timeout
    hostcall: Bytes::mib(1), // the tail of a log at most
    reply: Bytes::kib(64),  // a summary and some measurements
    log: Bytes::kib(64),    // a screenful per call
    stdout: Bytes::kib(64), // a panic message and its backtrace
    requests: 8,            // lookup, connect, one retry, one second endpoint
    request_time: Millis::seconds(5), // never longer than the deadline
    request: Bytes::kib(64), // a health check asks with a line
    response: Bytes::mib(1), // a verbose health page
    headers: Bytes::kib(64), // what common servers accept
    handles: 64,            // one connection, its streams and pollables, a directory
    random: Bytes::kib(64), // seeds and nonces
    concurrent: 1_000,      // one plugin may watch every component of a large stack
    disk: Bytes::mib(64),   // notes from call to call; more belongs to a service
    files: 2_000,           // one for every component, and then some
    fuel: None,
};

/// Waits for a model: long, with room for a conversation, few at a time.
const AGENT: Limits = Limits {
    memory: Bytes::mib(64), // sources, tool results and an answer, parsed as JSON, several copies
    table_elements: 50_000, // room for an interpreter
    instances: 80,          // a Python component has 64
    memories: 16,
    tables: 64,
    deadline: Millis::seconds(120), // a reasoning model's slow answer
    hostcall: Bytes::mib(8),        // measured: 7 MiB pass in 20 ms
    reply: Bytes::mib(4),           // a change set of whole files
    log: Bytes::kib(256),
    stdout: Bytes::kib(64),
    requests: 100,                      // retries and paging; beyond it is a loop
    request_time: Millis::seconds(120), // the model's answer is one request
    request: Bytes::mib(4),             // the brief with its sources
    response: Bytes::mib(4),            // a model's longest answer with its reasoning
    headers: Bytes::kib(64),
    handles: 1_000, // the corpus' own cap
    random: Bytes::mib(1),
    concurrent: 8,        // each holds a paid request open
    disk: Bytes::mib(64), // drafts and transcripts
    files: 2_000,         // the same
    fuel: None,
};

/// Runs somebody's tests in an interpreter: large, alone, without a network.
const EVALUATOR: Limits = Limits {
    memory: Bytes::mib(512), // CPython's suites were measured at 15 to 90 MiB; a bomb ends here
    table_elements: 100_000, // CPython has 24,233 functions
    instances: 100,
    memories: 32,
    tables: 100,
    deadline: Millis::seconds(300), // tests run about 8 times slower than natively
    hostcall: Bytes::mib(16),
    reply: Bytes::mib(8), // thousands of cases with their messages
    log: Bytes::mib(1),
    stdout: Bytes::mib(1), // what the tests print
    requests: 0,           // a judge asks nobody
    request_time: Millis::seconds(10),
    request: Bytes::kib(64),
    response: Bytes::mib(1),
    headers: Bytes::kib(64),
    handles: 4_000, // an import opens many files, each closed in time
    random: Bytes::mib(1),
    concurrent: 2,         // memory: two of them are a gibibyte
    disk: Bytes::mib(256), // what a suite leaves behind, beside compiled modules
    files: 8_000,          // a source tree with its caches
    fuel: None,
};

/// Answers a client that waits.
const TOOLS: Limits = Limits {
    memory: Bytes::mib(64),
    table_elements: 50_000,
    instances: 80,
    memories: 16,
    tables: 64,
    deadline: Millis::seconds(30), // MCP clients give up after 60
    hostcall: Bytes::mib(8),
    reply: Bytes::mib(1), // it goes into a model's context
    log: Bytes::kib(256),
    stdout: Bytes::kib(64),
    requests: 100,
    request_time: Millis::seconds(10),
    request: Bytes::mib(1),
    response: Bytes::mib(1),
    headers: Bytes::kib(64),
    handles: 1_000,
    random: Bytes::mib(1),
    concurrent: 32,       // several clients, several calls each
    disk: Bytes::mib(64), // what it keeps for its clients
    files: 2_000,         // the same
    fuel: None,
};
