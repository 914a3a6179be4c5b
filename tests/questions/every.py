"""Every question, in the order in which they are asked."""

from tests.questions import asked, health, over_time

QUESTIONS = (*asked.QUESTIONS, *health.QUESTIONS, *over_time.QUESTIONS)
