UPDATE memferry.audit
SET ended_at = %(ended_at)s, verdict = %(verdict)s, position = %(position)s, findings = %(findings)s,
    rows = %(rows)s, score = %(score)s, seconds = %(seconds)s, report = %(report)s,
    error = %(error)s
WHERE id = %(id)s
