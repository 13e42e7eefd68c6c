//! Rows as AWS sends them, and each of them with one thing wrong.

use serde_json::{Value, json};

use super::*;
use crate::prices::Rates;

/// A product as GetProducts sends it.
fn product() -> Value {
    json!({
        "product": {
            "productFamily": "Compute Instance",
            "attributes": {
                "instanceType": "m5.large", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
                "marketoption": "OnDemand", "operatingSystem": "Linux", "regionCode": "eu-west-1",
                "location": "EU (Ireland)", "licenseModel": "No License required", "operation": "RunInstances",
                "vcpu": "2", "memory": "8 GiB", "usagetype": "EU-BoxUsage:m5.large", "servicecode": "AmazonEC2"
            },
            "sku": "5D8V2EPPPHNG8ZQ7"
        },
        "serviceCode": "AmazonEC2",
        "terms": {
            "OnDemand": {"5D8V2EPPPHNG8ZQ7.JRTCKXETXF": {
                "priceDimensions": {"5D8V2EPPPHNG8ZQ7.JRTCKXETXF.6YS6EN2CT7": {
                    "unit": "Hrs", "endRange": "Inf", "beginRange": "0", "appliesTo": [],
                    "description": "$0.107 per On Demand Linux m5.large Instance Hour",
                    "rateCode": "5D8V2EPPPHNG8ZQ7.JRTCKXETXF.6YS6EN2CT7",
                    "pricePerUnit": {"USD": "0.1070000000"}
                }},
                "sku": "5D8V2EPPPHNG8ZQ7", "effectiveDate": "2026-11-01T00:00:00Z",
                "offerTermCode": "JRTCKXETXF", "termAttributes": {}
            }},
            "Reserved": {"5D8V2EPPPHNG8ZQ7.4NA7Y494T4": {
                "priceDimensions": {"5D8V2EPPPHNG8ZQ7.4NA7Y494T4.6YS6EN2CT7": {
                    "unit": "Hrs", "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": "0.0670000000"}
                }},
                "effectiveDate": "2026-10-01T00:00:00Z", "termAttributes": {"LeaseContractLength": "1yr"}
            }}
        },
        "version": "20261118", "publicationDate": "2026-11-18T21:04:33Z"
    })
}

const TERM: &str = "/terms/OnDemand/5D8V2EPPPHNG8ZQ7.JRTCKXETXF";
const DIMENSION: &str =
    "/terms/OnDemand/5D8V2EPPPHNG8ZQ7.JRTCKXETXF/priceDimensions/5D8V2EPPPHNG8ZQ7.JRTCKXETXF.6YS6EN2CT7";

fn with(pointer: &str, value: Value) -> Value {
    let mut product = product();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = product.pointer_mut(parent).expect("it is there").as_object_mut().expect("an object");
    if value.is_null() {
        parent.remove(name);
    } else {
        parent.insert(name.to_owned(), value);
    }
    product
}

fn linux() -> BTreeSet<System> {
    [System::Linux].into()
}

fn read(products: &[Value]) -> PriceTable {
    let documents: Vec<String> = products.iter().map(Value::to_string).collect();
    let as_of = "2026-11-21T12:00:00Z".parse().expect("a moment");
    table(&documents, "eu-west-1", &linux(), as_of).expect("they are documents")
}

fn said(products: &[Value]) -> String {
    let price = read(products).price(PriceOf::on_demand("m5.large"), &Rates::default());
    assert_eq!(price.per_hour(), None, "{products:?}");
    format!("{price:?}")
}

#[test]
fn a_row_as_aws_sends_it_is_the_on_demand_price_and_not_the_reserved_one() {
    let price = read(&[product()]).price(PriceOf::on_demand("m5.large"), &Rates::default());
    assert_eq!(price.per_hour().map(|money| money.nanos), Some(107_000_000));
    assert!(format!("{price:?}").contains("live: true"), "{price:?}");
    let mut same = product();
    same["product"]["sku"] = json!("ANOTHER");
    assert_eq!(
        read(&[product(), same]).counts(&Rates::default()),
        (1, 0),
        "the same price under another number"
    );
}

#[test]
fn what_is_sold_in_another_way_is_no_price_of_a_machine_and_hides_none() {
    for (name, value) in [
        ("tenancy", "Dedicated"),
        ("tenancy", "Host"),
        ("tenancy", "Reserved"),
        ("preInstalledSw", "SQL Web"),
        ("capacitystatus", "UnusedCapacityReservation"),
        ("capacitystatus", "AllocatedHost"),
        ("marketoption", "CapacityBlock"),
        ("operatingSystem", "Windows"),
        ("operatingSystem", "RHEL"),
        ("regionCode", "us-east-1"),
    ] {
        let mut other = with(&format!("/product/attributes/{name}"), json!(value));
        *other.pointer_mut(&format!("{DIMENSION}/pricePerUnit/USD")).expect("there") = json!("0.0010000000");
        let why = said(std::slice::from_ref(&other));
        assert!(why.contains(value), "{why}");
        for rows in [[other.clone(), product()], [product(), other]] {
            let amount = read(&rows).amount(PriceOf::on_demand("m5.large"));
            assert_eq!(amount.map(Amount::nanos), Some(107_000_000), "{name}={value}");
        }
    }
    said(&[with("/product/attributes/tenancy", Value::Null)]);
    said(&[with("/product/productFamily", json!("Dedicated Host"))]);
}

#[test]
fn what_cannot_be_a_price_is_unknown_with_the_reason() {
    for (pointer, value, why) in [
        (format!("{DIMENSION}/pricePerUnit/USD"), json!("0.0000000000"), "not above zero"),
        (format!("{DIMENSION}/pricePerUnit/USD"), json!("-0.1"), "not above zero"),
        (format!("{DIMENSION}/pricePerUnit/USD"), json!("NaN"), "not a decimal"),
        (format!("{DIMENSION}/pricePerUnit/USD"), json!(0.107), "not a decimal in quotes"),
        (format!("{DIMENSION}/pricePerUnit/USD"), json!("8192000"), "no price of an hour"),
        (format!("{DIMENSION}/pricePerUnit"), json!({}), "no price in any currency"),
        (format!("{DIMENSION}/pricePerUnit"), json!({"CNY": "0.7", "EUR": "0.1"}), "none of them USD"),
        (format!("{DIMENSION}/pricePerUnit"), json!({"CNY": "0.7"}), "no rate is configured"),
        (format!("{DIMENSION}/pricePerUnit"), json!({"yuan": "0.7"}), "no currency"),
        (format!("{DIMENSION}/pricePerUnit"), Value::Null, "cannot be read"),
        (format!("{DIMENSION}/unit"), json!("GB-Mo"), "not by"),
        (format!("{DIMENSION}/beginRange"), json!("100"), "how much is used"),
        (format!("{DIMENSION}/endRange"), json!("100"), "how much is used"),
        (format!("{TERM}/effectiveDate"), json!("2027-01-01T00:00:00Z"), "in force yet"),
        (format!("{TERM}/effectiveDate"), json!("soon"), "cannot be read"),
        (format!("{TERM}/priceDimensions"), json!({}), "names no price"),
        ("/terms/OnDemand".to_owned(), Value::Null, "no on-demand term"),
        ("/terms".to_owned(), Value::Null, "no on-demand term"),
    ] {
        let said = said(&[with(&pointer, value.clone())]);
        assert!(said.contains(why), "{pointer} {value}: {said}");
    }
}

#[test]
fn of_two_terms_the_newest_in_force_counts_and_two_prices_are_none() {
    let mut two = product();
    let mut next = two.pointer(TERM).expect("there").clone();
    let set = |term: &mut Value, date: &str, usd: &str| {
        term["effectiveDate"] = json!(date);
        term["priceDimensions"]["5D8V2EPPPHNG8ZQ7.JRTCKXETXF.6YS6EN2CT7"]["pricePerUnit"]["USD"] = json!(usd);
    };
    for (date, usd, nanos) in [
        ("2026-10-01T00:00:00Z", "0.2", Some(107_000_000)),
        ("2026-11-20T00:00:00Z", "0.2", Some(200_000_000)),
        ("2026-12-01T00:00:00Z", "0.2", Some(107_000_000)),
        ("2026-11-01T00:00:00Z", "0.2", None),
        ("2026-11-01T00:00:00Z", "0.1070000000", Some(107_000_000)),
    ] {
        set(&mut next, date, usd);
        two["terms"]["OnDemand"]["next"] = next.clone();
        let amount = read(std::slice::from_ref(&two)).amount(PriceOf::on_demand("m5.large"));
        assert_eq!(amount.map(Amount::nanos), nanos, "{date} {usd}");
    }
    let cheaper = with(&format!("{DIMENSION}/pricePerUnit/USD"), json!("0.1"));
    assert!(said(&[product(), cheaper]).contains("two prices"));
}

#[test]
fn half_a_document_is_no_answer_and_a_stranger_is_no_row() {
    let half = &product().to_string()[..400];
    let as_of = Timestamp::UNIX_EPOCH;
    assert!(table(&[half.to_owned()], "eu-west-1", &linux(), as_of).is_err());
    for strange in ["{}", "[]", "null", "7", r#"{"product": {"attributes": {"instanceType": ""}}}"#] {
        assert_eq!(
            table(&[strange.to_owned()], "eu-west-1", &linux(), as_of)
                .expect("a document")
                .counts(&Rates::default()),
            (0, 0)
        );
    }
}

#[test]
fn in_china_a_price_is_in_yuan_and_needs_a_rate() {
    let row = with(&format!("{DIMENSION}/pricePerUnit"), json!({"CNY": "0.7000000000"}));
    let rate = crate::prices::Rate { usd: "0.14".to_owned(), as_of: jiff::civil::date(2026, 11, 1) };
    let rates = Rates::new([("CNY", &rate)]).expect("a rate");
    let price = read(&[row]).price(PriceOf::on_demand("m5.large"), &rates);
    assert_eq!(price.per_hour().map(|money| money.nanos), Some(98_000_000));
    let both = with(&format!("{DIMENSION}/pricePerUnit"), json!({"CNY": "0.7", "USD": "0.1"}));
    let price = read(&[both]).price(PriceOf::on_demand("m5.large"), &Rates::default());
    assert_eq!(price.per_hour().map(|money| money.nanos), Some(100_000_000));
}

#[test]
fn a_disk_is_dearer_all_year_than_in_the_shortest_month() {
    let volume = |region: &str, usd: &str, unit: &str| {
        json!({
            "product": {"productFamily": "Storage", "attributes": {"volumeApiName": "gp3", "regionCode": region}},
            "terms": {"OnDemand": {"t": {"effectiveDate": "2026-11-01T00:00:00Z", "priceDimensions": {"d": {
                "unit": unit, "beginRange": "0", "endRange": "Inf", "pricePerUnit": {"USD": usd}
            }}}}}
        })
        .to_string()
    };
    let as_of = "2026-11-21T12:00:00Z".parse().expect("a moment");
    let read = |documents: &[String]| disk(documents, "eu-west-1", as_of).map(Amount::nanos).ok();
    let here = volume("eu-west-1", "0.0880000000", "GB-Mo");
    assert_eq!(read(&[volume("us-east-1", "0.2", "GB-Mo"), here.clone()]), Some(120_548));
    assert_eq!(read(&[here, volume("eu-west-1", "0.0960000000", "GB-Mo")]), Some(131_507));
    for wrong in [volume("eu-west-1", "0", "GB-Mo"), volume("eu-west-1", "0.088", "IOPS-Mo")] {
        assert_eq!(read(&[wrong]), None);
    }
    assert_eq!(read(&[]), None);
}

#[test]
fn windows_is_charged_as_linux_or_as_for_who_brings_a_licence() {
    let with = |os: &str, licence: &str, price: &str| {
        let mut product = product();
        product["product"]["attributes"]["operatingSystem"] = json!(os);
        product["product"]["attributes"]["licenseModel"] = json!(licence);
        *product.pointer_mut(&format!("{DIMENSION}/pricePerUnit/USD")).expect("a price") = json!(price);
        product.to_string()
    };
    let ours = "No License required";
    let documents = [
        with("Linux", ours, "0.107"),
        with("Windows", ours, "0.199"),
        with("Windows", "Bring your own license", "0.108"),
        with("RHEL", ours, "0.136"),
        with("SUSE", ours, "0.163"),
    ];
    let as_of = "2026-11-21T12:00:00Z".parse().expect("a moment");
    let nanos = |systems: &[System], os| {
        let table = table(&documents, "eu-west-1", &systems.iter().copied().collect(), as_of);
        let of = PriceOf { os, ..PriceOf::on_demand("m5.large") };
        table.expect("they are documents").amount(of).map(|amount| amount.nanos() / 1_000_000)
    };
    let all = [System::Linux, System::Windows, System::Rhel, System::Suse];
    assert_eq!(
        ["linux", "windows", "rhel", "suse"].map(|os| nanos(&all, os)),
        [Some(107), Some(199), Some(136), Some(163)]
    );
    assert_eq!(["linux", "windows"].map(|os| nanos(&[System::Linux], os)), [Some(107), None]);
}
