//! The words that values are drawn from.

/// Short, plain, distinct, and hostnames all of them. The list may grow at no place: a seed would draw another word.
pub(crate) const WORDS: [&str; 128] = [
    "acorn", "alder", "amber", "anvil", "apple", "aspen", "badger", "bamboo", "barley", "basil", "beacon",
    "beaver", "birch", "bison", "bramble", "brook", "canary", "candle", "canyon", "carrot", "cedar",
    "cherry", "chisel", "clover", "cobalt", "comet", "copper", "coral", "cotton", "cricket", "crocus",
    "curlew", "cypress", "dahlia", "daisy", "dolphin", "donkey", "dragon", "eagle", "ember", "falcon",
    "fennel", "ferret", "fiddle", "finch", "flint", "fossil", "fox", "garlic", "garnet", "gecko", "ginger",
    "glacier", "gopher", "granite", "grape", "hammer", "harbor", "hazel", "hedgehog", "heron", "hickory",
    "honey", "iguana", "indigo", "iris", "island", "ivory", "jaguar", "jasmine", "juniper", "kestrel",
    "kettle", "kiwi", "koala", "lagoon", "lantern", "lapwing", "lemon", "lilac", "linden", "lizard",
    "lobster", "lotus", "magpie", "mango", "maple", "marble", "marmot", "meadow", "melon", "mint", "mustard",
    "nectar", "nettle", "nutmeg", "oak", "olive", "onyx", "orchid", "osprey", "otter", "paprika", "parsley",
    "pebble", "pelican", "pepper", "pine", "plum", "poppy", "puffin", "quartz", "quince", "rabbit", "radish",
    "raven", "robin", "saffron", "salmon", "sparrow", "spruce", "sunset", "thistle", "tulip", "violet",
    "walnut", "willow", "zebra",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_is_another_and_a_hostname() {
        let plain = |word: &&str| word.len() <= 12 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(WORDS.iter().all(plain));
        assert_eq!(WORDS.iter().collect::<BTreeSet<_>>().len(), WORDS.len());
    }
}
