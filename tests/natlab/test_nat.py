import time
from tests.natlab.people import *
from tests.browser.room import a_room

def test_x(people, office, counters):
    ann, bob = people
    room=a_room()
    ann.enter(room, Place(), "hello of Ann")
    time.sleep(1)
    bob.enter(room, Place(), "hello of Bob")
    time.sleep(5)
    for p in people:
        print(p.diary(), p.path, p.channel(), p.copies())
    print(counters.text()[-3000:])
