//! What flavors cost, as an operator wrote it down: OpenStack itself has no prices.
//!
//! A sheet is a price file in TOML and nothing else ([`crate::prices::Form::Toml`]): the same amounts, ceilings and words
//! of refusal, and the same way to say a flavor's family, generation and whether it is burstable. A server takes such a
//! file for any cloud, reads it again and converts it; whoever makes an [`super::OpenStackDriver`] alone hands it over here.

use infra_core::nouns::offering::{Offering, Price};

use crate::prices::{Form, PriceError, PriceOf, PriceTable, Rates};

/// The name of the source, shown with every price.
const SOURCE: &str = "price sheet";

/// Flavors, what one machine of each costs per hour and, where it says so, what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSheet(PriceTable);

impl PriceSheet {
    /// Reads a sheet in US dollars.
    ///
    /// # Errors
    /// [`PriceError::Malformed`] with the line: for what a price file is refused for, and for any flavor without a price
    /// (no amount, or one of a currency that would have to be converted). Nobody reads a sheet again, so nobody would see.
    pub fn from_toml(text: &str) -> Result<Self, PriceError> {
        let table = Form::Toml.parse(SOURCE, text.as_bytes(), None)?;
        match table.without_price(&Rates::default()).into_iter().next() {
            Some(why) => Err(PriceError::Malformed { what: SOURCE.to_owned(), line: None, why }),
            None => Ok(Self(table)),
        }
    }
}

/// A flavor with what a sheet says of it.
pub(super) fn priced(sheet: Option<&PriceSheet>, flavor: Offering) -> Offering {
    let Some(PriceSheet(table)) = sheet else {
        let reason = "there is no price sheet for this cloud".to_owned();
        return Offering { price: Price::Unknown { reason }, ..flavor };
    };
    let price = table.price(PriceOf::on_demand(flavor.type_name.as_str()), &Rates::default());
    Offering { price, ..table.described(flavor) }
}

#[cfg(test)]
mod tests {
    use infra_core::nouns::request::{Arch, Market};
    use infra_core::words::money::Money;

    use super::*;

    const SHEET: &str =
        "as_of = \"2026-01-31T00:00:00Z\"\ncurrency = \"USD\"\n[per_hour]\n\"m1.small\" = \"0.021\"\n";

    fn flavor(name: &str) -> Offering {
        Offering::new(name.parse().expect("a name"), Arch::X86_64, Market::OnDemand)
    }

    #[test]
    fn what_no_sheet_names_has_no_price() {
        let sheet = PriceSheet::from_toml(SHEET).expect("a sheet");
        let price = |sheet, name| priced(sheet, flavor(name)).price.per_hour();
        assert_eq!(price(Some(&sheet), "m1.small"), Money::parse_usd("0.021"));
        assert_eq!(price(Some(&sheet), "m1.large"), None);
        assert_eq!(price(None, "m1.small"), None);
    }

    #[test]
    fn a_sheet_that_could_be_misread_is_refused() {
        for (from, to, said) in [
            ("USD", "EUR", "no rate is configured"),
            ("USD", "euro", "\"euro\" is no currency"),
            ("0.021", "0", "line 4: 0 is not above zero"),
            ("0.021", "-1", "line 4: -1 is not above zero"),
            ("0.021", "cheap", "line 4: \"cheap\" is not a decimal"),
            ("0.021", "10000", "line 4: 10000.00 is no price of an hour"),
            ("as_of", "of", "unknown field"),
            ("[per_hour]", "[per_day]", "line 3: unknown field"),
        ] {
            let error = PriceSheet::from_toml(&SHEET.replace(from, to)).expect_err("it is wrong");
            assert!(error.to_string().contains(said), "{to}: {error}");
        }
    }

    #[test]
    fn a_flavor_that_the_cloud_has_no_words_for_belongs_to_no_family() {
        let words = "[flavors.\"m1.small\"]\nfamily = \"M1\"\ngeneration = 1\nburstable = true\n";
        let sheet = PriceSheet::from_toml(&format!("{SHEET}{words}")).expect("a sheet");
        let told = Offering { family: "s3".to_owned(), generation: Some(3), ..flavor("m1.small") };
        let one = priced(Some(&sheet), told.clone());
        assert_eq!((one.family.as_str(), one.generation, one.burstable), ("m1", Some(1), true));
        let part = PriceSheet::from_toml(&format!("{SHEET}[flavors.\"m1.small\"]\nburstable = true\n"))
            .expect("one");
        let one = priced(Some(&part), told);
        assert_eq!(
            (one.family.as_str(), one.generation, one.burstable),
            ("s3", Some(3), true),
            "the cloud's"
        );
        for (wrong, said) in [
            ("[flavors.\"m1.smal\"]\nfamily = \"m1\"\n", "line 5: m1.smal: is told of and has no price"),
            ("[flavors.\"m1.small\"]\nfamily = \"\"\n", "line 5: m1.small: family must be"),
            ("[flavors.\"m1.small\"]\ngeneration = 0\n", "line 5: m1.small: generation must be"),
            ("[flavors.\"m1.small\"]\nfamilie = \"m1\"\n", "line 6: unknown field"),
        ] {
            let error = PriceSheet::from_toml(&format!("{SHEET}{wrong}")).expect_err(wrong);
            assert!(error.to_string().contains(said), "{wrong}: {error}");
        }
    }
}
