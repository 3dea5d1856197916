"""What a till needs to hand its receipts over: a spool on its disk and a sender. Usable without the platform."""
