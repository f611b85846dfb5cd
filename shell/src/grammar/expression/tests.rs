//! Expressions against trees that are evaluated some other way.

use proptest::prelude::*;

use super::*;

struct Some5;

impl Names for Some5 {
    fn value(&mut self, name: &str) -> Result<u64, Error> {
        match name {
            "five" | "_" | "?" | "cr4.smap" => Ok(5),
            _ => Err(Error::NoRegister(excerpt(name))),
        }
    }
    fn symbol(&mut self, name: &str) -> Result<u64, Error> {
        match name {
            "a::b" => Ok(0x1000),
            _ => Err(Error::Lacks("symbols")),
        }
    }
}

fn value(text: &str) -> Result<u64, Error> {
    evaluate(text, &mut Some5)
}

#[test]
fn numbers_are_read_as_the_shell_prints_them() {
    assert_eq!(value("0xffff_8000_0000_0000"), Ok(0xffff_8000_0000_0000));
    assert_eq!(value("0xDEAD_beef"), Ok(0xdead_beef));
    assert_eq!(value("1_000"), Ok(1000));
    assert_eq!(value("18446744073709551615"), Ok(u64::MAX));
    assert_eq!(value("010"), Ok(10));
}

#[test]
fn refuses_words_that_are_nearly_numbers() {
    for word in [
        "0x",
        "_",
        "0x_",
        "12g4",
        "0x1_0000_0000_0000_0000",
        "18446744073709551616",
    ] {
        assert!(value(word).is_err(), "{word:?}");
    }
    assert_eq!(
        value("ffff_8000").unwrap_err(),
        Error::HexWithoutPrefix(excerpt("ffff_8000"))
    );
    assert_eq!(
        value("main").unwrap_err(),
        Error::NotANumber(excerpt("main"))
    );
    for text in [
        "",
        "()",
        "(1",
        "1)",
        "1 2",
        "+ 1",
        "1 +",
        "1 = 1",
        "$",
        "1 < 2 < 3",
        "$ five",
        "é",
        "0x1é",
    ] {
        assert!(value(text).is_err(), "{text:?}");
    }
}

#[test]
fn operators_bind_as_in_rust() {
    let cases = [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("10 - 3 - 2", 5),
        ("100 / 7 % 5", 4),
        ("1 << 4 + 1", 32),
        ("1 << 2 << 3", 32),
        ("6 & 3 == 2", 1),
        ("1 | 6 ^ 2 & 3", 5),
        ("1 == 2 || 3 == 3 && 1", 1),
        ("!0 + !5", 1),
        ("~0xff & 0xfff", 0xf00),
        ("- - 5", 5),
        ("3 - 5 + 4", 2),
        ("-1 < 0", 1),
        ("2>=2", 1),
        ("2!=2", 0),
        ("1<<63", 1 << 63),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_and_not_a_small_number() {
    assert_eq!(value("0xffff_ffff_ffff_ffff + 1"), Err(Error::TooLarge));
    assert_eq!(value("3 - 5"), Err(Error::BelowZero));
    assert_eq!(value("1 << 64"), Err(Error::ShiftCount(64)));
    assert_eq!(value("0 >> (1 - 2)"), Err(Error::ShiftCount(-1)));
    assert_eq!(value("3 << 63"), Err(Error::TooLarge));
    assert_eq!(value("-1 & 5"), Err(Error::BelowZero));
    assert_eq!(value("1 / 0"), Err(Error::DivisionByZero));
    assert_eq!(value("1 % (2 - 2)"), Err(Error::DivisionByZero));
    let huge = "0xffff_ffff_ffff_ffff * 0xffff_ffff_ffff_ffff * 0xffff_ffff_ffff_ffff";
    assert_eq!(value(huge), Err(Error::TooLarge));
}

#[test]
fn names_are_values_wherever_a_number_is() {
    assert_eq!(value("$five+1"), Ok(6));
    assert_eq!(value("($?+$_)*2"), Ok(20));
    assert_eq!(value("$cr4.smap == 5"), Ok(1));
    assert_eq!(value("sym:a::b + 1"), Ok(0x1001));
    assert_eq!(value("$six"), Err(Error::NoRegister(excerpt("six"))));
}

#[test]
fn nesting_has_an_end() {
    for text in ["(", "-", "1||1&&1==1|1^1&1<<1+1*("] {
        assert_eq!(value(&text.repeat(500)), Err(Error::TooDeep), "{text}");
    }
    let fine = format!("{}1{}", "(".repeat(12), ")".repeat(12));
    assert_eq!(value(&fine), Ok(1));
}

#[test]
fn a_false_condition_knows_the_comparison_that_made_it_so() {
    let untrue = |text: &str| match evaluate_condition(text, &mut Some5) {
        Ok((0, Some(comparison))) => comparison.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(untrue("$five == 4 + 2"), "0x5 == 0x6");
    assert_eq!(untrue("1 == 1 && 2 >= 3 && 4 == 5"), "0x2 >= 0x3");
    assert_eq!(untrue("1 - 2 == 3"), "-0x1 == 0x3");
    assert_eq!(evaluate_condition("0", &mut Some5), Ok((0, None)));
}

/// An expression as a tree, and so without any need to parse it.
#[derive(Clone, Debug)]
enum Tree {
    Number(u64),
    Sign(char, Box<Tree>),
    Pair(Box<Tree>, &'static str, Box<Tree>),
}

/// What a tree is worth: in 128 bits, `None` if any step has no answer.
fn worth(tree: &Tree) -> Option<i128> {
    let bits = |value: i128| u64::try_from(value).ok();
    match tree {
        Tree::Number(number) => Some(i128::from(*number)),
        Tree::Sign('-', inner) => 0_i128.checked_sub(worth(inner)?),
        Tree::Sign('!', inner) => Some(if worth(inner)? == 0 { 1 } else { 0 }),
        Tree::Sign(_, inner) => Some(i128::from(u64::MAX) - i128::from(bits(worth(inner)?)?)),
        Tree::Pair(left, operator, right) => {
            let (a, b) = (worth(left)?, worth(right)?);
            let truth = |is: bool| Some(i128::from(is));
            match *operator {
                "+" => a.checked_add(b),
                "-" => a.checked_sub(b),
                "*" => a.checked_mul(b),
                "/" => a.checked_div(b),
                "%" => a.checked_rem(b),
                "==" => truth(a == b),
                "!=" => truth(a != b),
                "<" => truth(a < b),
                ">" => truth(a > b),
                "<=" => truth(a <= b),
                ">=" => truth(a >= b),
                "&&" => truth(a != 0 && b != 0),
                "||" => truth(a != 0 || b != 0),
                "&" => Some(i128::from(bits(a)? & bits(b)?)),
                "|" => Some(i128::from(bits(a)? | bits(b)?)),
                "^" => Some(i128::from(bits(a)? ^ bits(b)?)),
                "<<" => {
                    let (a, b) = (bits(a)?, bits(b)?);
                    let product =
                        i128::from(a).checked_mul(1 << if b < 64 { b } else { return None });
                    product.filter(|product| bits(*product).is_some())
                }
                ">>" => {
                    let (a, b) = (bits(a)?, bits(b)?);
                    (b < 64).then(|| i128::from(a) / (1 << b))
                }
                _ => unreachable!(),
            }
        }
    }
}

/// A tree as text, with a parenthesis around every pair.
fn parenthesised(tree: &Tree) -> String {
    match tree {
        Tree::Number(number) if number % 2 == 0 => format!("{number:#x}"),
        Tree::Number(number) => format!("{number}"),
        Tree::Sign(sign, inner) => format!("{sign}{}", parenthesised(inner)),
        Tree::Pair(left, operator, right) => {
            format!(
                "({} {operator}{})",
                parenthesised(left),
                parenthesised(right)
            )
        }
    }
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let number = prop_oneof![
        4 => (0_u64..70).prop_map(Tree::Number),
        1 => any::<u64>().prop_map(Tree::Number),
        1 => Just(Tree::Number(u64::MAX)),
    ];
    number.prop_recursive(6, 30, 2, |inner| {
        let operators = OPERATORS.map(|(operator, _)| operator).to_vec();
        let pair = (
            inner.clone(),
            proptest::sample::select(operators),
            inner.clone(),
        );
        let sign = (proptest::sample::select(vec!['-', '!', '~']), inner);
        prop_oneof![
            5 => pair.prop_map(|(a, op, b)| Tree::Pair(Box::new(a), op, Box::new(b))),
            1 => sign.prop_map(|(sign, inner)| Tree::Sign(sign, Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn an_expression_is_worth_what_its_tree_is(tree in any_tree()) {
        let expected = worth(&tree).and_then(|value| u64::try_from(value).ok());
        prop_assert_eq!(value(&parenthesised(&tree)).ok(), expected);
    }

    #[test]
    fn sums_and_products_need_no_parentheses(
        products in proptest::collection::vec(
            proptest::collection::vec(0_i128..1000, 1..5), 1..6),
        minus in proptest::collection::vec(any::<bool>(), 6),
    ) {
        let mut text = String::new();
        let mut sum = 0_i128;
        for (index, (factors, minus)) in products.iter().zip(minus).enumerate() {
            let product: i128 = factors.iter().product();
            let minus = minus && index > 0;
            sum += if minus { -product } else { product };
            let factors: Vec<String> = factors.iter().map(i128::to_string).collect();
            text += if index == 0 { "" } else if minus { " - " } else { "+" };
            text += &factors.join("*");
        }
        prop_assert_eq!(value(&text).ok(), u64::try_from(sum).ok(), "{}", text);
    }

    #[test]
    fn any_text_has_an_answer(text in "[0-9a-fx$?_.()+*/%<>=!&|^~ -]{0,60}") {
        let _ = value(&text);
    }

    #[test]
    fn any_unicode_has_an_answer(text in "\\PC{0,30}") {
        let _ = value(&text);
    }
}
