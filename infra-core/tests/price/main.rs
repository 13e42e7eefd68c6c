//! Pricing: its laws on the engine, the same laws on engines broken in one point each, and equality with brute
//! force on random worlds and on the founding grid, reasons and prices of rules included.

mod explained;
mod mutants;
mod oracle;
mod property;
mod table;

use std::sync::Arc;

use infra_core::testing::laws::pricing::laws;
use infra_core::testing::laws::{Unmet, run};
use infra_core::{CheapestFit, PricingEngine};
use mutants::{Defect, Mutant};

/// A law that cannot fail says nothing: each is run on an engine that is broken in just that point.
#[tokio::test]
async fn every_law_holds_and_catches_the_engine_that_breaks_it() {
    let laws = laws();
    let right = async || Arc::new(CheapestFit) as Arc<dyn PricingEngine>;
    let mut report = run("PricingEngine", "CheapestFit", "none", &laws, right).await;
    report.mutants = Some(Defect::ALL.len());
    for law in &laws {
        let defects: Vec<Defect> = Defect::ALL.into_iter().filter(|it| it.breaks() == law.name).collect();
        assert!(!defects.is_empty(), "no engine breaks {}", law.name);
        for defect in defects {
            let verdict = (law.check)(Arc::new(Mutant(defect))).await;
            if !matches!(verdict, Err(Unmet::Broken(_))) {
                report.survivors.push(law.name);
            }
        }
    }
    println!("{report}");
    assert!(report.is_kept(), "{:?} {:?}", report.failed, report.survivors);
}
