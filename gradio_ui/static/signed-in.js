// Tells the tab whose session had ended that its person is back; that tab compares who it is.
const channel = new BroadcastChannel("receipts");
channel.postMessage({ principal: document.currentScript.dataset.principal });
channel.close();
