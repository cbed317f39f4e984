//! The vocabularies: types that cannot stand for each other, and the catalog of the documents word by word.

use std::any::TypeId;
use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::ops::Deref;

use penstock_types::vocab::{AuditEventType, Blocker, ReasonCode, ReasonFamily, StageName};

/// Two types, of which the compiler says what leads from the first to the second: the inherent constant wins where its
/// bound holds, the trait's stands everywhere.
struct Pair<A: ?Sized, B: ?Sized>(PhantomData<A>, PhantomData<B>);

trait Otherwise {
    const INTO: bool = false;
    const TRY_INTO: bool = false;
    const AS_REF: bool = false;
    const BORROW: bool = false;
    const DEREF: bool = false;
    const EQ: bool = false;
    const CMP: bool = false;
}

impl<A: ?Sized, B: ?Sized> Otherwise for Pair<A, B> {}

impl<A: Into<B>, B> Pair<A, B> {
    const INTO: bool = true;
}

impl<A: TryInto<B>, B> Pair<A, B> {
    const TRY_INTO: bool = true;
}

impl<A: ?Sized + AsRef<B>, B: ?Sized> Pair<A, B> {
    const AS_REF: bool = true;
}

impl<A: ?Sized + Borrow<B>, B: ?Sized> Pair<A, B> {
    const BORROW: bool = true;
}

impl<A: ?Sized + Deref<Target = B>, B: ?Sized> Pair<A, B> {
    const DEREF: bool = true;
}

impl<A: ?Sized + PartialEq<B>, B: ?Sized> Pair<A, B> {
    const EQ: bool = true;
}

impl<A: ?Sized + PartialOrd<B>, B: ?Sized> Pair<A, B> {
    const CMP: bool = true;
}

/// What leads from one type to another. The types are named, so that the compiler knows them where it chooses.
macro_rules! ways {
    ($from:ty => $to:ty) => {
        [
            ("into", <Pair<$from, $to>>::INTO),
            ("try_into", <Pair<$from, $to>>::TRY_INTO),
            ("as_ref", <Pair<$from, $to>>::AS_REF),
            ("borrow", <Pair<$from, $to>>::BORROW),
            ("deref", <Pair<$from, $to>>::DEREF),
            ("eq", <Pair<$from, $to>>::EQ),
            ("cmp", <Pair<$from, $to>>::CMP),
        ]
    };
}

macro_rules! apart {
    ($($a:ty, $b:ty;)+) => {
        $(
            assert_ne!(TypeId::of::<$a>(), TypeId::of::<$b>());
            for (name, there) in ways!($a => $b).into_iter().chain(ways!($b => $a)) {
                let pair = concat!(stringify!($a), " and ", stringify!($b));
                assert!(!there, "{pair}: {name} leads from one to the other");
            }
        )+
    };
}

/// A stage, an event, a reason and a blocker are types of their own: no value of one becomes or equals a value of
/// another, although some of their texts are the same. The only way between them is a text, and a word that only one
/// of them has is refused by the others.
#[test]
fn types_distinct() {
    // The probe finds what is there.
    let Pair(..) = Pair::<StageName, StageName>(PhantomData, PhantomData);
    let there = |ways: [(&'static str, bool); 7]| ways.map(|(name, there)| there.then_some(name));
    let same = there(ways!(StageName => StageName));
    assert_eq!(
        same.into_iter().flatten().collect::<Vec<_>>(),
        ["into", "try_into", "borrow", "eq", "cmp"]
    );
    let text = there(ways!(std::rc::Rc<StageName> => StageName));
    assert_eq!(text.into_iter().flatten().collect::<Vec<_>>(), ["as_ref", "borrow", "deref"]);
    apart! {
        StageName, AuditEventType;
        StageName, ReasonCode;
        StageName, Blocker;
        AuditEventType, ReasonCode;
        AuditEventType, Blocker;
        ReasonCode, Blocker;
        ReasonCode, ReasonFamily;
    }
    type Reads = fn(&str) -> bool;
    let read: [(&str, Vec<&str>, Reads); 3] = [
        ("stage", words(StageName::ALL, StageName::as_str), |t| StageName::parse(t).is_ok()),
        ("event", words(AuditEventType::ALL, AuditEventType::as_str), |t| {
            AuditEventType::parse(t).is_ok()
        }),
        ("reason", words(ReasonCode::ALL, ReasonCode::as_str), |t| ReasonCode::parse(t).is_ok()),
    ];
    for (at, (mine, texts, _)) in read.iter().enumerate() {
        let mut own = 0;
        for text in texts {
            for (other_at, (other, others, parse)) in read.iter().enumerate() {
                assert_eq!(parse(text), others.contains(text), "{mine} {text} read as {other}");
                own += usize::from(other_at != at && !parse(text));
            }
        }
        assert!(own > texts.len(), "most words of {mine} are no words of the others: {own}");
    }
}

fn words<T: Copy>(all: &[T], text: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|word| text(*word)).collect()
}

/// The rows of the tables under a heading, until the next heading; the heads of tables are left out.
fn rows(text: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).expect("the heading is there");
    let section = rest.split("\n#").next().unwrap_or(rest);
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        })
        .collect()
}

fn catalog() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/catalog.md");
    std::fs::read_to_string(path).expect("the catalog is committed")
}

/// The document has exactly the words of the types, in their order, with their properties; each blocker has one code
/// or names the list that its code comes from; each critical marker has one reason in a process.
#[test]
fn matches_doc_table() {
    let text = catalog();
    let stages = StageName::ALL.iter().map(|s| vec![s.as_str().to_owned(), s.meaning().to_owned()]);
    assert_eq!(rows(&text, "## Stages"), stages.collect::<Vec<_>>());
    let events = AuditEventType::ALL
        .iter()
        .map(|e| [e.as_str(), e.lane().as_str(), e.meaning()].map(str::to_owned).to_vec());
    assert_eq!(rows(&text, "## Audit events"), events.collect::<Vec<_>>());
    let mut seen = 0;
    for family in ReasonFamily::ALL {
        let reasons = ReasonCode::ALL
            .iter()
            .filter(|reason| reason.family() == *family)
            .map(|r| [r.as_str(), r.severity().as_str(), r.meaning()].map(str::to_owned).to_vec());
        let found = rows(&text, &format!("### {family}"));
        seen += found.len();
        assert_eq!(found, reasons.collect::<Vec<_>>(), "{family}");
    }
    assert_eq!(seen, ReasonCode::ALL.len());
    blockers(&rows(&text, "## Blockers"));
    markers(&rows(&text, "## Markers"));
}

/// Blockers whose code is that of what blocked.
const OWN_CODES: [(&str, &str); 3] = [
    ("EngineBlocked", "that of the engine's gate"),
    ("AiGateBlocked", "that of the AI gate"),
    ("RiskBlocked", "that of the rule"),
];

fn blockers(found: &[Vec<String>]) {
    let names: Vec<&str> = found.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, words(Blocker::ALL, Blocker::as_str));
    let mut codes = BTreeSet::new();
    for row in found {
        let blocker = Blocker::parse(&row[1]).expect("a blocker");
        assert_eq!(row[0], blocker.rank().to_string(), "{blocker}");
        match OWN_CODES.iter().find(|(name, _)| *name == row[1]) {
            Some((_, words)) => assert_eq!(&row[2], words),
            None => {
                let code = ReasonCode::parse(&row[2]).expect("one code");
                assert!(codes.insert(code), "{code} belongs to one blocker");
            }
        }
    }
}

fn markers(found: &[Vec<String>]) {
    assert!(found.len() > 100, "the table is read");
    let mut reasons = BTreeMap::new();
    for row in found {
        let [name, level, reason] = row.as_slice() else { panic!("three cells: {row:?}") };
        let named: Vec<&str> = reason.split(", ").filter(|r| *r != "–").collect();
        for reason in &named {
            let code = reason.split(' ').next().unwrap_or_default().trim_matches('`');
            ReasonCode::parse(code).expect("a reason of the catalog");
        }
        assert!(level != "ERROR" || !named.is_empty(), "{name} is critical and has no reason");
        assert!(named.len() <= 2, "{name} has one reason in each process at most: {named:?}");
        assert!(reasons.insert(name.clone(), named.len()).is_none(), "{name} stands twice");
    }
}
