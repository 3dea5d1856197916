from loadtest.strain import Strain, judge


def strained(cpu, late_ms):
    own = Strain()
    for percent in cpu:
        own.used(percent)
    for ms in late_ms:
        own.saw(ms / 1_000)
    return own.as_json()


def test_a_driver_at_ease_warns_of_nothing():
    verdict = judge([strained([20.0] * 30, [0, 1, 0, 2]), strained([40.0] * 30, [0])])
    assert (verdict.processes, verdict.cpu_mean_percent, verdict.cpu_peak_percent) == (2, 30.0, 40.0)
    assert verdict.late_max_ms == 2
    assert verdict.warnings() == []


def test_the_busiest_ten_seconds_of_one_process_are_enough_to_doubt_the_figures():
    verdict = judge([strained([10.0] * 60, [0]), strained([10.0] * 25 + [98.0] * 10 + [10.0] * 25, [0])])
    assert verdict.cpu_peak_percent == 98.0
    assert "used 98 % of a core and was the bottleneck" in verdict.warnings()[0]


def test_one_busy_second_is_no_bottleneck():
    assert judge([strained([100.0] + [5.0] * 9, [0])]).warnings() == []


def test_a_driver_that_is_late_for_itself_says_by_how_much_times_are_too_long():
    verdict = judge([strained([30.0], [1] * 90 + [60] * 10)])
    assert (verdict.late_p95_ms, verdict.late_max_ms) == (60, 60)
    assert "times are too long by up to that" in verdict.warnings()[0]


def test_a_run_too_short_to_be_watched_is_not_judged():
    assert judge([strained([], [])]).warnings() == []
