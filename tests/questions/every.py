"""Every question, in the order in which they are asked."""

from tests.questions import asked, over_time

QUESTIONS = (*asked.QUESTIONS, *over_time.QUESTIONS)
