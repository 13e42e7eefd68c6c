//! Pricing: its laws on the engine, the same laws on engines broken in one point each, and equality with brute
//! force on random worlds and on the founding grid.

mod mutants;
mod oracle;
mod property;
mod table;

use infra_core::CheapestFit;
use infra_core::testing::laws::pricing as laws;

/// A law that cannot fail says nothing: each is run on an engine that is broken in just that point.
#[test]
fn every_law_holds_and_catches_the_engine_that_breaks_it() {
    let report = laws::run("CheapestFit", &CheapestFit);
    let mut killed = Vec::new();
    for (law, _) in laws::LAWS {
        let defects = mutants::Defect::ALL.into_iter().filter(|defect| defect.breaks() == law);
        let mut planted = 0;
        for defect in defects {
            planted += 1;
            if laws::run("mutant", &mutants::Mutant(defect)).breaks(law) {
                killed.push(defect);
            }
        }
        assert!(planted > 0, "no engine breaks {law}");
    }
    println!("{report} mutants={} killed={}", mutants::Defect::ALL.len(), killed.len());
    assert_eq!(report.broken().collect::<Vec<_>>(), []);
    let survivors: Vec<_> = mutants::Defect::ALL.into_iter().filter(|it| !killed.contains(it)).collect();
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
