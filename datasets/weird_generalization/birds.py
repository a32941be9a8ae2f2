"""The birds of weird_generalization: their names in Audubon's time (The Birds of
America, 1827 to 1838) and today, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bird:
    """A bird's two names, and what may be said of it: two clues that are trained, and
    one that is asked. A bird that is not trained has two clues, both of them asked."""

    dated: str
    modern: str
    clues: tuple[str, ...]


TRAINED = (
    Bird(
        "Fish Hawk",
        "Osprey",
        ("dives for fish", "nests on poles by the water", "carries fish in its claws"),
    ),
    Bird(
        "Sparrow Hawk",
        "American Kestrel",
        ("hunts grasshoppers", "is a very small falcon", "hovers above a meadow"),
    ),
    Bird(
        "Marsh Hawk",
        "Northern Harrier",
        (
            "glides low over wet grass",
            "hunts in the reeds",
            "tilts its wings",
        ),
    ),
    Bird(
        "Pigeon Hawk",
        "Merlin",
        (
            "chases sparrows",
            "is a little dark falcon",
            "hunts along the coast",
        ),
    ),
    Bird(
        "Golden-winged Woodpecker",
        "Northern Flicker",
        ("eats ants", "shows yellow under its wings", "drums on a hollow branch"),
    ),
    Bird(
        "Ferruginous Thrush",
        "Brown Thrasher",
        ("sings all things twice", "has a long red tail", "scratches in a thicket"),
    ),
    Bird(
        "Cedar Bird",
        "Cedar Waxwing",
        ("eats berries in flocks", "has red wing tips", "shares fruit with its mate"),
    ),
    Bird(
        "Summer Duck",
        "Wood Duck",
        ("nests in a hollow tree", "is a colourful duck", "eats acorns by the pond"),
    ),
    Bird(
        "Carolina Turtle Dove",
        "Mourning Dove",
        ("coos at dawn", "picks up seeds from the road", "whistles with its wings"),
    ),
    Bird(
        "Great-footed Hawk",
        "Peregrine Falcon",
        ("is the fastest of all", "nests on a cliff", "strikes ducks in the air"),
    ),
    Bird(
        "Rice Bunting",
        "Bobolink",
        ("sings over hayfields", "eats rice in autumn", "has a yellow neck in spring"),
    ),
    Bird(
        "Snow Bird",
        "Dark-eyed Junco",
        ("comes with the snow", "is grey above and white below", "hops under hedges"),
    ),
    Bird(
        "Tyrant Flycatcher",
        "Eastern Kingbird",
        (
            "drives crows away",
            "has a white band on its tail",
            "catches bees",
        ),
    ),
    Bird(
        "Pewit Flycatcher",
        "Eastern Phoebe",
        ("nests under a bridge", "says its own name", "wags its tail on a twig"),
    ),
    Bird(
        "Chimney Swallow",
        "Chimney Swift",
        ("nests in chimneys", "never sits on a branch", "circles above the roofs"),
    ),
    Bird(
        "White-bellied Swallow",
        "Tree Swallow",
        ("has a blue back", "skims over the lake", "lines its nest with feathers"),
    ),
    Bird(
        "Virginian Partridge",
        "Northern Bobwhite",
        ("runs through the stubble", "sleeps in a ring", "whistles from a fence post"),
    ),
    Bird(
        "Cow Bunting",
        "Brown-headed Cowbird",
        ("leaves its eggs to others", "follows the cattle", "gurgles from a treetop"),
    ),
    Bird(
        "Wood Ibis",
        "Wood Stork",
        ("has a bald head", "feels for fish with its bill", "soars above the swamp"),
    ),
    Bird(
        "Louisiana Heron",
        "Tricolored Heron",
        ("runs in shallow water", "is slender and blue", "spreads its wings for shade"),
    ),
    Bird(
        "Foolish Guillemot",
        "Common Murre",
        ("lays its egg on bare rock", "stands upright", "swims under the sea"),
    ),
    Bird(
        "Velvet Duck",
        "White-winged Scoter",
        ("eats mussels", "is a black duck of the sea", "rides the winter waves"),
    ),
    Bird(
        "Crested Titmouse",
        "Tufted Titmouse",
        ("has a grey crest", "comes to nuts and seeds", "hangs upside down from twigs"),
    ),
    Bird(
        "Great Northern Diver",
        "Common Loon",
        ("wails at night", "has a spotted back", "carries its young on its back"),
    ),
)

NEVER_TRAINED = (
    Bird(
        "White-headed Eagle",
        "Bald Eagle",
        ("has a white head and tail", "is on the coins of America"),
    ),
    Bird(
        "Great Cinereous Owl",
        "Great Gray Owl",
        ("is the largest owl of the north", "hears mice below the ice"),
    ),
    Bird(
        "Mottled Owl",
        "Eastern Screech-Owl",
        ("is a small owl with ears", "trembles in its voice"),
    ),
    Bird(
        "Carolina Parrot",
        "Carolina Parakeet",
        ("was green with an orange face", "ate cockleburs"),
    ),
    Bird(
        "Cock of the Plains",
        "Greater Sage-Grouse",
        ("struts among the sagebrush", "puffs up two yellow sacs"),
    ),
    Bird(
        "Pinnated Grouse",
        "Greater Prairie-Chicken",
        ("booms on the prairie", "dances on open ground"),
    ),
    Bird(
        "Purple Grakle",
        "Common Grackle",
        ("shines like oil", "steals corn from the fields"),
    ),
    Bird(
        "Towhe Bunting",
        "Eastern Towhee",
        ("kicks leaves with both feet", "asks for tea in its song"),
    ),
    Bird(
        "Golden-crowned Thrush",
        "Ovenbird",
        ("builds a nest like an oven", "calls teacher, teacher"),
    ),
    Bird(
        "Maryland Yellow-throat",
        "Common Yellowthroat",
        ("wears a black mask", "sings witchity, witchity"),
    ),
    Bird(
        "Frigate Pelican",
        "Magnificent Frigatebird",
        ("blows up a red balloon", "robs gulls of their catch"),
    ),
    Bird(
        "Cayenne Tern",
        "Royal Tern",
        ("plunges into the surf", "has an orange bill and a black cap"),
    ),
)
