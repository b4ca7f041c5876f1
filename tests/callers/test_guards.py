"""What people say raises no alarm; what only a broken simulator says always does."""

from typing import Any

import pytest

from simulate.conversation.callers.guards import Situation, ended_too_soon, inspect, left_open
from simulate.conversation.callers.improvise import _known, cleaned  # pyright: ignore[reportPrivateUsage]
from simulate.conversation.callers.prompt import template
from simulate.model.persona import Persona
from simulate.model.scenario import Scenario

SHOPPER = Persona(
    name="Dana Whitfield",
    description="A parent of two, in a hurry.",
    traits=["impatient", "polite"],
    knows={
        "full_name": "Dana Whitfield",
        "order_id": "4417",
        "email": "dana.whitfield@example.com",
        "phone": "(555) 010-4477",
        "address": "12 Mill Lane, Springfield, IL 62704",
        "date_of_birth": "1984-05-17",
        "ordered_on": "2026-03-03",
        "total": 42.5,
    },
)
GUEST = Persona(
    name="Ken Abara",
    knows={
        "full_name": "Ken Abara",
        "booking_reference": "BK-77-210",
        "party": 4,
        "phone": "+44 20 7946 0958",
    },
)
GERMAN = Persona(
    name="Jonas Weber",
    knows={"bestellnummer": "90817"},
    speaks={"language": "de"},  # type: ignore[arg-type]
)
SPANISH = Persona(name="Lucía Gómez", knows={"pedido": "55012"}, speaks={"language": "es"})  # type: ignore[arg-type]
JAPANESE = Persona(name="佐藤 健", speaks={"language": "ja"})  # type: ignore[arg-type]
BILINGUAL = Persona(name="Ana Ruiz", traits=["mixes Spanish and English"], knows={"order": "7781"})
GOAL = "Get the money back for order 4417. Refuse a replacement."


def situation(persona: Persona, agent: list[str] | None = None, own: list[str] | None = None) -> Situation:
    scenario = Scenario(name="s", goal=GOAL if persona is SHOPPER else "Get help.", persona=persona)
    known = _known(scenario, persona)
    for text in [*(agent or []), *(own or [])]:
        known.add(text)
    return Situation(
        known,
        persona.speaks.language,
        bool(persona.traits and "mixes" in persona.traits[0]),
        own or [],
        agent or [],
        template(),
    )


MORE: list[tuple[str, list[str]]] = [
    ("I'm Dana, and I've got a problem with my last order.", ["Hello."]),
    ("My card ends in 4242, was it charged?", ["Hello."]),
    ("It was two weeks ago, order from the 3rd I believe.", ["When?"]),
    ("How can I get my refund?", ["Hello."]),
    ("Can I have my money back or not?", ["Hello."]),
    ("You guys are sorry for the inconvenience every single time!", ["We are sorry for the inconvenience."]),
    ("I don't care about your policy, your system is broken.", ["Our policy is 30 days."]),
    ("Thanks for your help!", ["Done."]),
    ("Thank you for checking.", ["It is lost."]),
    ("So you will issue the refund to my card?", ["I can refund."]),
    ("Okay, please issue the refund.", ["Shall I?"]),
    ("I have cancelled the order already in the app.", ["Hello."]),
    ("I booked a table for two last night under Whitfield.", ["Hello."]),
    ("Is this customer service?", ["Hello."]),
    ("Hello, is this support?", []),
    ("Customer service is always like this.", ["Wait."]),
    ("Let me get this straight: you lost my parcel and I get nothing?", ["It is lost."]),
    ("Let me look for the confirmation email for you, hold on.", ["Do you have the confirmation?"]),
    ("My phone number is 555 0104477", ["Phone?"]),
    ("I called 3 times on 03/10 and 03/12.", ["Hello."]),
    ("It's been 14 days, order was placed 03/03/2026.", ["Hello."]),
    ("I paid about 40 bucks, 42.50 I think", ["How much?"]),
    ("that would be the order ending 417", ["number?"]),
    ("Order: 4417; Name: Dana Whitfield; Email: dana.whitfield@example.com", ["Details?"]),
    ("wheres my stuff!!! order 4417!!!", []),
    ("yes", ["Shall I?"]),
    ("no thanks", ["Anything else?"]),
    ("Can you email it to me at dana.whitfield@example.com?", ["Receipt?"]),
    ("I want it by 12/24, it's a Christmas gift.", ["When do you need it?"]),
    ("I need it before December 24th.", ["When do you need it?"]),
    ("It arrived on the 5th, but the box was empty.", ["Hello."]),
    ("I ordered 2 of the 500ml bottles and got 1.", ["Hello."]),
    ("The model is XR-500, color black.", ["Which product?"]),
    ("Ticket? Nobody gave me a ticket number.", ["Do you have a ticket number?"]),
    ("My zip code is 62704.", ["Zip code?"]),
    ("62704", ["What is the zip code on the order?"]),
    ("I live at 12 Mill Lane.", ["Where?"]),
    ("It's the blue one, size 10, 100% cotton.", ["Which item of the order?"]),
    ("My account says I have 1250 points.", ["Hello."]),
    ("What about my account balance of 120 dollars?", ["Hello."]),
    ("I'm a customer since 2015.", ["Hello."]),
    ("I am just a simple customer, please help.", ["Hello."]),
    ("As an assistant manager myself, I'd never treat people like this.", ["Hello."]),
    ("I'm an actor, I was told to come at 5.", ["Hello."]),
    ("I can't help with that, sorry, I don't have the receipt.", ["Could you send the receipt?"]),
    ("Your order has been shipped, it says, but where is it?", ["Hello."]),
    ("Is your refund policy 30 days?", ["Hello."]),
    ("Please confirm my order number, I want to be sure.", ["Done."]),
    ("Could you confirm your name for my notes?", ["Done."]),
]

NORMAL: list[tuple[Persona, str, list[str]]] = [
    (SHOPPER, "Hi, my parcel never turned up and I'm getting a bit desperate.", []),
    (SHOPPER, "It's 4417.", ["Could you tell me your order number, please?"]),
    (SHOPPER, "4417", ["What is your order number?"]),
    (SHOPPER, "four four one seven", ["What is your order number?"]),
    (SHOPPER, "Order number is four, four, one, seven. Got that?", ["What is your order number?"]),
    (SHOPPER, "order #4417, placed on March 3rd", ["Which order?"]),
    (SHOPPER, "I ordered it on 3 March 2026 and paid $42.50.", ["When did you order?"]),
    (SHOPPER, "I paid 42.50 dollars for it, not 40!", ["The total was 40 dollars."]),
    (SHOPPER, "You said $39.90 but I was charged $42.50.", ["Your refund is $39.90."]),
    (SHOPPER, "dana.whitfield@example.com", ["What is your email?"]),
    (SHOPPER, "My email is Dana.Whitfield@example.com", ["What is your email?"]),
    (SHOPPER, "You can reach me on 555-010-4477.", ["And your phone number?"]),
    (SHOPPER, "555 010 4477", ["Your phone number, please?"]),
    (SHOPPER, "I was born on May 17, 1984.", ["Your date of birth?"]),
    (SHOPPER, "17.05.1984", ["Your date of birth?"]),
    (SHOPPER, "05/17/84", ["Your date of birth?"]),
    (SHOPPER, "My name is Dana.", ["Who am I speaking with?"]),
    (SHOPPER, "My name's Dana Whitfield, W-H-I-T...", ["Your name?"]),
    (SHOPPER, "My name is not important right now!", ["Your name?"]),
    (SHOPPER, "12 Mill Lane, Springfield, 62704.", ["Where should it go?"]),
    (SHOPPER, "I've been waiting for 3 weeks and called 5 times already.", ["I am sorry."]),
    (SHOPPER, "I have 2 kids and 20 minutes, so please hurry.", ["One moment."]),
    (SHOPPER, "No, I don't want a replacement, I want my money back.", ["Would you like a replacement?"]),
    (SHOPPER, "Are you a bot? Am I talking to an AI?", ["How can I help?"]),
    (SHOPPER, "You're just an AI, get me a human.", ["How can I help?"]),
    (SHOPPER, "Is this a virtual assistant? I want a real person.", ["How can I help?"]),
    (SHOPPER, "Can you check my order please?", ["How can I help?"]),
    (SHOPPER, "Could you give me your name, please?", ["I can help with that."]),
    (SHOPPER, "What's your policy on lost parcels?", ["It is lost."]),
    (SHOPPER, "Let me check my email... ok, found it: 4417.", ["What is your order number?"]),
    (SHOPPER, "let me see, one second", ["What is your order number?"]),
    (SHOPPER, "Thank you for your help, have a nice day.", ["It is refunded."]),
    (SHOPPER, "Thanks for nothing.", ["I cannot do that."]),
    (SHOPPER, "I can help you find it, it's under Dana.", ["I cannot find the order."]),
    (SHOPPER, "I'm sorry to bother you again.", ["Hello."]),
    (SHOPPER, "Your email says the refund has been issued, but I see nothing.", ["It was issued."]),
    (SHOPPER, "You told me your refund policy is 30 days!", ["It is past 30 days."]),
    (SHOPPER, 'The website says "your order has been shipped" since Monday.', ["Which order?"]),
    (SHOPPER, "So my refund has been processed? How long until it arrives?", ["I processed it."]),
    (SHOPPER, "I can't help it, I'm just so angry.", ["Please calm down."]),
    (SHOPPER, "I want $20 extra for my trouble.", ["Is that all?"]),
    (SHOPPER, "What?", ["It is lost."]),
    (SHOPPER, "Ok.", ["One moment."]),
    (SHOPPER, "?!", ["One moment."]),
    (SHOPPER, "This is UNACCEPTABLE!!! I want to speak to your manager.", ["I cannot do that."]),
    (SHOPPER, "ugh fine, whatever. how long will it take", ["3 to 5 business days."]),
    (SHOPPER, "so 3 to 5 business days from today?", ["3 to 5 business days."]),
    (SHOPPER, "My tracking number? I don't have that at hand.", ["Do you have the tracking number?"]),
    (SHOPPER, "I don't know it, sorry. I only have the order number.", ["Your customer number?"]),
    (SHOPPER, "And the ticket is 88231, right?", ["I opened ticket 88231 for you."]),
    (SHOPPER, "Wait, you said order 4471, but mine is 4417.", ["I found order 4471."]),
    (SHOPPER, "I already told you, order 4417!", ["What is your order number?"]),
    (SHOPPER, "The last four digits of my card? I'd rather not say.", ["Last four digits of your card?"]),
    (SHOPPER, "Order in 2024 was fine, but this one is a disaster.", ["Hello."]),
    (SHOPPER, "I bought it in 2026, it cost a fortune.", ["Hello."]),
    (SHOPPER, "it arrived at 19:45 when nobody was home, thats what the note says", ["It was delivered."]),
    (SHOPPER, "I'm gonna cancel my account and book somewhere else.", ["I cannot do that."]),
    (SHOPPER, "Please cancel the order and refund it.", ["Shall I?"]),
    (SHOPPER, "I will book your competitor next time.", ["I cannot do that."]),
    (SHOPPER, "Great, that's all then. Bye!", ["It is refunded."]),
    *((SHOPPER, line, heard) for line, heard in MORE),
    (GUEST, "Hi, I'd like to move my booking, the reference is BK-77-210.", []),
    (GUEST, "bk77210", ["What is your booking reference?"]),
    (GUEST, "A table for 4 on Friday at 19:30, please.", ["When would you like to come?"]),
    (GUEST, "There will be 4 of us, maybe 5, and a baby.", ["How many?"]),
    (GUEST, "Could we make it the 14th of March, or March 15?", ["Which day?"]),
    (GUEST, "Is 8pm OK? Or 8:30?", ["At what time?"]),
    (GUEST, "+44 20 7946 0958", ["A phone number, please?"]),
    (GUEST, "020 7946 0958", ["A phone number, please?"]),
    (GUEST, "Under Abara. A-B-A-R-A.", ["Under which name?"]),
    (GUEST, "Is there a deposit? Last time it was 10 pounds per person.", ["Anything else?"]),
    (GUEST, "Do you have a table by the window? We're celebrating our anniversary.", ["At what time?"]),
    (GUEST, "I'd be happy to come earlier if that helps.", ["19:30 is taken."]),
    (GUEST, "We are here at the restaurant already, nobody has our booking.", ["How can I help?"]),
    (GUEST, "Sorry, I'm confused, which day did you say?", ["Friday at 19:30."]),
    (GERMAN, "Guten Tag, meine Bestellung ist nicht angekommen, was soll ich tun?", []),
    (GERMAN, "Die Bestellnummer ist 90817.", ["Wie lautet Ihre Bestellnummer?"]),
    (GERMAN, "Ok, super, danke!", ["Erledigt."]),
    (GERMAN, "Das ist doch Customer Service aus der Hölle, ehrlich.", ["Hello?"]),
    (SPANISH, "Hola, quiero saber dónde está mi pedido 55012.", []),
    (SPANISH, "¿Cuándo llega? Llevo dos semanas esperando.", ["Está en camino."]),
    (JAPANESE, "注文した商品がまだ届いていません。", []),
    (JAPANESE, "はい、お願いします。", ["確認しましょうか？"]),
    (BILINGUAL, "Hola, my order is late, ¿dónde está? The number es 7781.", []),
    (SHOPPER, "The customer service number never answers, that is why I write.", ["Hello."]),
    (SHOPPER, "The user manual says it has two years of warranty.", ["Hello."]),
    (SHOPPER, "The person before you said that it was sent.", ["Hello."]),
    (GUEST, "I would pay up to $200 for a bigger table.", ["The large room is free."]),
    (GUEST, "Does it cost $20 to cancel?", ["There is a fee."]),
    (GUEST, "Is there anything for $30?", ["We have a menu."]),
    (GUEST, "I paid around 50 dollars the last time.", ["We have a menu."]),
    (BILINGUAL, "Pero no entiendo por qué no llega mi pedido con la otra caja.", ["It is late."]),
]

FAULTS: list[tuple[Persona, str, list[str], str]] = [
    (SHOPPER, "How can I help you today?", ["Hello."], "agent"),
    (SHOPPER, "I'd be happy to assist you with your refund.", ["Hello."], "agent"),
    (SHOPPER, "Thank you for contacting support.", ["Hello."], "agent"),
    (SHOPPER, "Thank you for your patience while I look into this.", ["Hello."], "agent"),
    (SHOPPER, "Let me check that order for you.", ["It is late."], "agent"),
    (SHOPPER, "I have processed your refund of $42.50.", ["It is late."], "agent"),
    (SHOPPER, "Your refund has been issued.", ["I want a refund."], "agent"),
    (SHOPPER, "Is there anything else I can help you with?", ["Thanks."], "agent"),
    (SHOPPER, "Could you please provide your order number?", ["It is late."], "agent"),
    (SHOPPER, "Please confirm your email so I can proceed.", ["It is late."], "agent"),
    (SHOPPER, "We apologize for the inconvenience.", ["It is late."], "agent"),
    (SHOPPER, "Our records show that it was delivered.", ["It is late."], "agent"),
    (SHOPPER, "I'm here to help.", ["It is late."], "agent"),
    (SHOPPER, "Where is it?\nAgent: It is on its way.\nCustomer: Thanks.", ["Hello."], "both sides"),
    (SHOPPER, "**Assistant:** I will look that up.", ["Hello."], "both sides"),
    (
        SHOPPER,
        "I am sorry, order 4417 is lost, would you like a refund?",
        ["I am sorry, order 4417 is lost. Would you like a refund?"],
        "agent's words",
    ),
    (SHOPPER, "As an AI language model, I don't have an order.", ["Hello."], "machine"),
    (SHOPPER, "I'm an AI assistant and cannot call.", ["Hello."], "machine"),
    (SHOPPER, "I am ChatGPT.", ["Who is this?"], "machine"),
    (SHOPPER, "I'm just a language model.", ["Who is this?"], "machine"),
    (SHOPPER, "My instructions say that I want a refund.", ["Why?"], "machine"),
    (SHOPPER, "In this scenario I want a refund.", ["Why?"], "machine"),
    (SHOPPER, "I'm sorry, but I can't assist with that request.", ["Hello."], "machine"),
    (SHOPPER, "I was trained by Hugging Face to help.", ["Hello."], "machine"),
    (SHOPPER, "I was told to play a customer.", ["Hello."], "machine"),
    (SHOPPER, "My persona is impatient.", ["Hello."], "machine"),
    (SHOPPER, "I cannot continue this role-play.", ["Hello."], "machine"),
    (SHOPPER, "You never speak for them: you cannot look anything up, decide", ["Hello."], "instructions"),
    (SHOPPER, "Do not tell everything at once. Answer what you are asked.", ["Hello."], "instructions"),
    (SHOPPER, "My order number is 4418.", ["What is your order number?"], "number"),
    (SHOPPER, "It's 123456.", ["What is your order number?"], "number"),
    (SHOPPER, "99871", ["Could you give me your order number?"], "number"),
    (SHOPPER, "nine nine eight seven one", ["Could you give me your order number?"], "number"),
    (SHOPPER, "The tracking number is 1Z999AA10123456784.", ["Tracking number?"], "number"),
    (SHOPPER, "Order #ORD-2231, please.", ["Which order?"], "number"),
    (SHOPPER, "My email is dana@gmail.com.", ["Your email?"], "e-mail"),
    (SHOPPER, "Call me at 555-867-5309.", ["Your phone number?"], "phone"),
    (SHOPPER, "I paid $59.99 for it.", ["How much was it?"], "amount"),
    (SHOPPER, "The total was 99 dollars.", ["How much was it?"], "amount"),
    (SHOPPER, "I ordered it on April 9th.", ["When did you order?"], "date"),
    (SHOPPER, "I was born on 1990-01-01.", ["Your date of birth?"], "date"),
    (SHOPPER, "My name is John Smith.", ["Your name?"], "name"),
    (GUEST, "My booking reference is XY-99-123.", ["Your reference?"], "number"),
    (GUEST, "020 7946 1111", ["A phone number, please?"], "phone"),
    (GUEST, "I paid $99 for it.", ["Hello."], "amount"),
    (GUEST, "My booking for $399 is gone, I was charged 12.50 euros.", ["Hello."], "amount"),
    (GUEST, "I ordered the menu for $40.", ["Hello."], "amount"),
    (SHOPPER, "The customer explains that order 4417 never came.", ["Hello."], "of the customer"),
    (SHOPPER, "(The caller sighs and asks for a refund.)", ["Hello."], "of the customer"),
    (SHOPPER, "", ["Hello."], "empty"),
    (SHOPPER, "   \n", ["Hello."], "empty"),
    (SHOPPER, "Hola, quiero saber dónde está mi pedido y cuándo llega.", ["Hello."], "language"),
    (SHOPPER, "我的订单还没有到，我想退款，请帮我查一下。", ["Hello."], "language"),
    (GERMAN, "Hello, where is my order and when will I get it?", ["Guten Tag."], "language"),
    (JAPANESE, "Hello, I would like to know where my order is.", ["はい。"], "language"),
]


@pytest.mark.parametrize(("persona", "line", "agent"), NORMAL)
def test_what_people_say_raises_no_alarm(persona: Persona, line: str, agent: list[str]):
    own = ["Hello there, I need some help with something please."] if agent else []
    assert inspect(line, situation(persona, agent, own)) is None


@pytest.mark.parametrize(("persona", "line", "agent", "fault"), FAULTS)
def test_what_a_broken_simulator_says_is_found(persona: Persona, line: str, agent: list[str], fault: str):
    alarm = inspect(line, situation(persona, agent, ["Hello there, I need some help."]))
    assert alarm is not None
    assert fault in alarm.fault
    assert alarm.evidence and alarm.mend


def test_the_tables_are_as_long_as_they_claim():
    assert len(NORMAL) >= 60 and len(FAULTS) >= 40


def repeated(own: list[str], agent: list[str], line: str) -> Any:
    return inspect(line, situation(SHOPPER, agent, own))


def test_repeating_itself():
    line = "Where is my parcel, it should be here by now."
    asked = ["Hello.", "One moment.", "It is with the carrier."]
    assert repeated(["Hello there.", line], asked, line).fault == "repeats itself"
    assert repeated(["Hello there.", line], asked, f"{line}!").fault == "repeats itself"


def test_the_same_word_for_ever():
    agent, own = ["It is refunded."] * 4, ["Where is order 4417?", "No.", "No.", "No."]
    assert repeated(own, agent, "No.").fault == "repeats itself"
    assert repeated(own, [*agent[:3], "Shall I refund it?"], "No.") is None
    assert repeated(own[:3], agent[:3], "No.") is None


def test_goodbyes_without_end():
    agent = ["It is refunded.", "You're welcome.", "Goodbye.", "Goodbye!"]
    own = ["Where is my order 4417?", "Thanks a lot!", "Thank you, bye."]
    alarm = inspect("Have a nice day!", situation(SHOPPER, agent, own))
    assert alarm is not None and alarm.fault == "says goodbye for ever"
    assert inspect("Thanks, but when will it come?", situation(SHOPPER, agent, own)) is None
    assert inspect("Have a nice day!", situation(SHOPPER, agent[:3], own[:2])) is None
    hanging_up = situation(SHOPPER, agent, own)
    hanging_up.ending = True
    assert inspect("Have a nice day!", hanging_up) is None


@pytest.mark.parametrize(
    ("agent", "line"),
    [
        (["Hello.", "Sorry, could you repeat that?"], "Where is my parcel, it should be here by now."),
        (["Hello.", "What is wrong?", "What is wrong?"], "Where is my parcel, it should be here by now."),
        (["Hello.", "It is with the carrier."], "Yes."),
        (["Hello.", "It is with the carrier."], "Where is my parcel, and when will it be here?"),
    ],
)
def test_saying_it_again_where_that_is_human(agent: list[str], line: str):
    own = ["Hello there.", "Where is my parcel, it should be here by now.", "Yes."]
    assert repeated(own, agent, line) is None


@pytest.mark.parametrize(
    ("own", "agent", "alarm"),
    [
        ([], [], True),
        (["Hi"], [], True),
        (["Hi there"], ["Hello, how can I help?"], True),
        (["Hi", "Nice weather today, don't you think?"], ["Hello.", "Indeed."], True),
        (["I want my money back for 4417"], ["I have refunded it."], False),
        (
            ["Hi, my parcel never came, it's a disgrace", "yes, do that for me please"],
            ["Refund?", "Done."],
            False,
        ),
        (["order 4417"], ["It is lost, refunded."], False),
    ],
)
def test_ending_before_the_goal_was_tried(own: list[str], agent: list[str], alarm: bool):
    found = ended_too_soon(GOAL, situation(SHOPPER, agent, own))
    assert (found is not None) == alarm


WHICH = "It is lost, I am sorry. Would you like a refund or a replacement?"


@pytest.mark.parametrize(
    ("own", "agent", "alarm"),
    [
        (["order 4417 never came"], ["Hello.", WHICH], True),
        (["order 4417 never came"], ["It is refunded."], False),
        (["order 4417 never came"], ["It is refunded. Is there anything else that I can do?"], False),
        (["order 4417 never came"], ["It is refunded, all right?"], False),
        (["order 4417 never came", "a refund"], [WHICH, WHICH], False),
        (["order 4417", "Are you serious?", "You asked me that."], ["Number?", "Where is it?", WHICH], False),
        (["order 4417 never came"], ["Would you like a refund? I have issued it now."], False),
    ],
)
def test_hanging_up_on_a_question(own: list[str], agent: list[str], alarm: bool):
    found = left_open(situation(SHOPPER, agent, own))
    assert (found is not None) == alarm
    assert found is None or "refund or a replacement" in found.evidence


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("*sighs* Where is my parcel?", "Where is my parcel?"),
        ("Where is it? (pauses, then louder) I want my money.", "Where is it? I want my money."),
        ("[in an angry voice] Where is it?", "Where is it?"),
        ("**looks at the clock** I have no time.", "I have no time."),
        ("I *really* need it (the blue one).", "I *really* need it (the blue one)."),
        ("It costs 3 * 4 dollars, looks like * to me.", "It costs 3 * 4 dollars, looks like * to me."),
    ],
)
def test_what_a_caller_does_meanwhile_is_not_said(written: str, heard: str):
    assert cleaned(written, SHOPPER) == heard
